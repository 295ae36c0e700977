import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// Tests that Coq has checked the pinned statements: compiles the proofs, lets Coq print the theorems and their
// assumptions, and compares. `node --import tsx proofs/coq/check.ts > proofs/coq/statements.txt` pins the present
// statements: read the difference before keeping it.

const home = path.dirname(fileURLToPath(import.meta.url))

/**
 * The axioms of the standard library's real numbers. Classical logic (`Classical_Prop.classic`) is not among them, and
 * is not used.
 */
const allowed: ReadonlySet<string> = new Set([
  'ClassicalDedekindReals.sig_forall_dec',
  'ClassicalDedekindReals.sig_not_dec',
  'FunctionalExtensionality.functional_extensionality_dep',
])

/**
 * Words that leave something unproved, or switch off a check of Coq's. `Print Assumptions` tells most of them; a reader
 * should meet none.
 */
const refused =
  /\b(?:Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|bypass_check|Unset\s+\w+\s+Checking|Declare\s+ML\s+Module)\b/g

/** Sources by file name, in the order in which they are compiled. */
export type Sources = ReadonlyMap<string, string>
/** A folder with the sources and the compiled proofs, outside the tree. */
export interface Build {
  readonly folder: string
  readonly sources: Sources
}

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}
const coqc = (folder: string, file: string): Promise<Outcome> =>
  new Promise(resolve => {
    execFile('coqc', ['-q', '-Q', '.', 'Partensor', file], { cwd: folder, maxBuffer: 2 ** 26 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err })
    })
  })

/** Is Coq here? @example test('…', { skip: !await coqIsHere() }, …) */
export const coqIsHere = (): Promise<boolean> =>
  new Promise(resolve => {
    execFile('coqc', ['--version'], error => {
      resolve(error === null)
    })
  })

/** The sources as they stand. A file that `_CoqProject` leaves out would be checked by nobody: that is an error. */
export const readSources = async (): Promise<Sources> => {
  const listed = (await readFile(path.join(home, '_CoqProject'), 'utf8'))
    .split('\n')
    .filter(line => line.endsWith('.v'))
  const unlisted = (await readdir(home)).filter(file => file.endsWith('.v') && !listed.includes(file))
  if (unlisted.length > 0) throw new Error(`_CoqProject does not list ${unlisted.join(', ')}`)
  return new Map(
    await Promise.all(listed.map(async file => [file, await readFile(path.join(home, file), 'utf8')] as const)),
  )
}

/** The pinned text: the statements, and the meaning of their words. */
export const readPinned = (): Promise<string> => readFile(path.join(home, 'statements.txt'), 'utf8')

/** Coq's comments nest. */
const withoutComments = (source: string): string => {
  let depth = 0
  return source.replace(/\(\*|\*\)|[\s\S]/g, piece => {
    if (piece === '(*') depth++
    const kept = depth === 0 ? piece : ' '
    if (piece === '*)' && depth > 0) depth--
    return kept
  })
}

/**
 * A compiled copy in a folder of its own, and the first file that Coq refuses, if any. What `earlier` compiled before
 * the first change is kept.
 */
export const build = async (
  sources: Sources,
  earlier?: Build,
): Promise<Build & { readonly problems: readonly string[] }> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'partensor-coq-'))
  if (earlier !== undefined) await cp(earlier.folder, folder, { recursive: true, preserveTimestamps: true })
  const files = [...sources.keys()]
  const from = earlier === undefined ? 0 : files.findIndex(file => sources.get(file) !== earlier.sources.get(file))
  for (const file of from < 0 ? [] : files.slice(from)) {
    await writeFile(path.join(folder, file), sources.get(file) ?? '')
    const { code, err } = await coqc(folder, file)
    if (code !== 0) return { folder, sources, problems: [`coqc refuses ${file}: ${err.trim()}`] }
  }
  return { folder, sources, problems: [] }
}

export const discard = ({ folder }: Build): Promise<void> => rm(folder, { recursive: true, force: true })

const declared = (source: string, words: RegExp): readonly string[] =>
  [...withoutComments(source).matchAll(words)].map(([, name]) => name ?? '')
const theoremsOf = (sources: Sources): readonly string[] =>
  declared(
    sources.get('Statements.v') ?? '',
    /^\s*(?:Theorem|Lemma|Corollary|Proposition|Fact|Remark|Definition)\s+([\w']+)/gm,
  )
const definitionsOf = (sources: Sources): readonly string[] =>
  declared(
    sources.get('Definitions.v') ?? '',
    /^\s*(?:Definition|Fixpoint|Inductive|Variant|Record|Class|Let)\s+([\w']+)/gm,
  )
/** The notation "P ⋅ x" under the key that Coq finds it by, "_ ⋅ _". */
const notationsOf = (sources: Sources): readonly string[] =>
  declared(sources.get('Definitions.v') ?? '', /^\s*Notation\s+"([^"]+)"/gm).map(key => key.replace(/[A-Za-z]+/g, '_'))

/**
 * Coq's answer to each query. Notations of Statements.v are not in force, so that a statement prints in the words of
 * Definitions.v alone.
 */
const ask = async ({ folder }: Build, queries: readonly string[]): Promise<readonly string[]> => {
  const head = 'From Partensor Require Import Definitions. From Partensor Require Statements. Set Printing Width 140.'
  const asked = queries.map(query => `Goal True. idtac "@@@". Abort.\n${query}`)
  await writeFile(path.join(folder, 'Question.v'), [head, ...asked, ''].join('\n'))
  const { code, out, err } = await coqc(folder, 'Question.v')
  if (code !== 0) throw new Error(`coqc does not answer: ${err.trim()}`)
  return out
    .split('@@@')
    .slice(1)
    .map(answer => answer.trim())
}

/** The output of Coq for every theorem and every definition, and the assumptions of all theorems together. */
const report = async (built: Build): Promise<{ readonly statements: string; readonly assumptions: string }> => {
  const theorems = theoremsOf(built.sources)
  // the tuple of all theorems rests on the assumptions of each, and Coq walks through its library only once
  const [, assumptions = '', ...printed] = await ask(built, [
    `Definition every_theorem := (${theorems.map(name => `@Statements.${name}`).join(', ')}).`,
    'Print Assumptions every_theorem.',
    ...theorems.map(name => `Check Statements.${name}.`),
    ...definitionsOf(built.sources).map(name => `Print Definitions.${name}.`),
    ...notationsOf(built.sources).map(key => `Locate "${key}".`),
  ])
  return {
    statements: `${printed.map(answer => answer.replace(/\n\nArguments [\s\S]*$/, '')).join('\n\n')}\n`,
    assumptions,
  }
}

/**
 * The statements of the theorems and the meaning of their words, as Coq prints them.
 * @example console.log(await statements(built))
 */
export const statements = async (built: Build): Promise<string> => (await report(built)).statements

/**
 * The names at the left edge of `Print Assumptions`. Lines such as "… is assumed to be guarded" are taken for names
 * that are not allowed.
 */
const assumptionsOf = (answer: string): readonly string[] =>
  answer === 'Closed under the global context'
    ? []
    : answer
        .split('\n')
        .filter(line => !/^(?:\s|$|Axioms:$)/.test(line))
        .map(line => line.replace(/ :( .*)?$/, ''))

/**
 * The faults of compiled proofs: none, if they prove the pinned statements from the allowed assumptions.
 * @example (await faults(built, pinned)).length === 0
 */
export const faults = async (built: Build, pinned: string): Promise<readonly string[]> => {
  const said = [...built.sources].flatMap(([file, source]) =>
    [...withoutComments(source).matchAll(refused)].map(([word]) => `${file} says ${word}`),
  )
  const now = await report(built)
  const assumed = assumptionsOf(now.assumptions)
    .filter(name => !allowed.has(name))
    .map(name => `the theorems assume ${name}`)
  const changed = now.statements === pinned ? [] : ['the statements are not those of statements.txt']
  return [...said, ...assumed, ...changed]
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const built = await build(await readSources())
  try {
    if (built.problems.length > 0) throw new Error(built.problems.join('\n'))
    process.stdout.write(await statements(built))
  } finally {
    await discard(built)
  }
}

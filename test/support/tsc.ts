import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** The compilers that users have, by their packages; the project's own is the first. */
export type Compiler = 'typescript' | 'typescript-5.9'
const programOf = (compiler: Compiler): string =>
  path.join(path.dirname(createRequire(import.meta.url).resolve(`${compiler}/package.json`)), 'bin', 'tsc')

/** The output of `tsc` for one place: its line (from 1) and everything printed there, including further lines. */
export interface Diagnostic {
  readonly line: number
  readonly code: string
  readonly text: string
}
/** The output of `tsc` for one file. `instantiations` are its own: those of its imports are subtracted. */
export interface Report {
  readonly diagnostics: readonly Diagnostic[]
  readonly instantiations: number
}

const config = (files: readonly string[]) => ({
  extends: path.join(root, 'tsconfig.json'),
  compilerOptions: {
    types: ['node'],
    skipLibCheck: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
    rewriteRelativeImportExtensions: false,
    allowImportingTsExtensions: true,
    paths: {
      'partensor': [path.join(root, 'src/index.ts')],
      'partensor/*': [path.join(root, 'src/*.ts')],
      'src/*': [path.join(root, 'src/*')],
      'test/*': [path.join(root, 'test/*')],
    },
  },
  files,
  include: [],
})

/** A diagnostic and the file that it is about. */
interface Located extends Diagnostic {
  readonly file: string
}

/** Joins a diagnostic's first line to the indented ones that follow. */
const parse = (output: string): readonly Located[] =>
  output.split('\n').reduce<readonly Located[]>((found, line) => {
    const [, name, at, code, text] = /^(.*?)\((\d+),\d+\): error (TS\d+): (.*)$/.exec(line) ?? []
    const last = found.at(-1)
    return code !== undefined && name !== undefined
      ? [...found, { file: path.basename(name), line: Number(at), code, text: text ?? '' }]
      : line.startsWith('  ') && last !== undefined && !/^\s*$/.test(line)
        ? [...found.slice(0, -1), { ...last, text: `${last.text}\n${line}` }]
        : line.startsWith('error ')
          ? [...found, { file: '', line: 0, code: '', text: line }]
          : found
  }, [])

const importsOf = (source: string): string =>
  [...(source.match(/^import [\s\S]*? from '.*'$/gm) ?? []), 'export {}'].join('\n')

/**
 * Runs the project's own `tsc` on a source text, under the project's settings. It imports the library as `partensor` or
 * by `src/...`.
 * @returns the diagnostics as printed (line 0: not in this file), and how many types were instantiated
 */
export const typeCheck = async (source: string): Promise<Report> => {
  const [whole, imports] = await Promise.all([run([source]), run([importsOf(source)])])
  return { diagnostics: whole.diagnostics[0] ?? [], instantiations: whole.instantiations - imports.instantiations }
}

/**
 * The same of several sources at once, each a file of its own, with another compiler as well: their diagnostics, one
 * list a source.
 */
export const typeCheckAll = async (
  sources: readonly string[],
  compiler: Compiler = 'typescript',
): Promise<readonly (readonly Diagnostic[])[]> => (await run(sources, compiler)).diagnostics

const run = async (sources: readonly string[], compiler: Compiler = 'typescript') => {
  const cache = path.join(root, 'node_modules', '.cache', 'partensor-types')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(path.join(cache, 'run-'))
  const files = sources.map((_, i) => `fixture${i}.ts`)
  try {
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(config(files)))
    await Promise.all(sources.map((source, i) => writeFile(path.join(folder, files[i]!), source)))
    const args = [programOf(compiler), '-p', folder, '--pretty', 'false', '--extendedDiagnostics']
    const child = promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 })
    // tsc exits with 1 or 2 when it finds errors: that is a result
    const output = await child.then(
      done => done.stdout,
      (error: { readonly stdout?: string }) => error.stdout ?? '',
    )
    const count = /^Instantiations:\s+(\d+)/m.exec(output)
    if (count === null) throw new Error(`tsc did not run: ${output}`)
    const found = parse(output.slice(0, output.search(/^Files:/m)))
    const elsewhere = found.filter(({ file }) => !files.includes(file))
    return {
      diagnostics: files.map(name =>
        [...found.filter(({ file }) => file === name), ...elsewhere.map(other => ({ ...other, line: 0 }))].map(
          ({ line, code, text }): Diagnostic => ({ line, code, text }),
        ),
      ),
      instantiations: Number(count[1]),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

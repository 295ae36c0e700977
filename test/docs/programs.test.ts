import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { expectationsOf, faults } from '../support/type-fixtures.ts'
import { typeCheckAll } from '../support/tsc.ts'
import { pageOf, pages, root, type Block } from '../support/pages.ts'

// Programs of the pages: `// error: …` stands above a line that tsc must refuse with that text. A program without such
// a line runs, and the block that follows it is exactly its output.

/** An entry of the package by its name: `partensor` is src/index.ts, and `partensor/x` is src/x.ts. */
const entry = (name = 'index'): string => new URL(`../../src/${name}.ts`, import.meta.url).href
/** The fixtures are checked without Node's types, which declare `console`. */
const bare = (source: string): string => `declare const console: { log(text: string): void }\n${source}`

/** The output of a program; a failing one rejects. */
const printed = async (source: string): Promise<string> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'partensor-page-'))
  const file = path.join(folder, 'program.mts')
  try {
    await writeFile(
      file,
      source.replaceAll(/'partensor(?:\/(\w+))?'/g, (_, name?: string) => `'${entry(name)}'`),
    )
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file], { cwd: root })
    assert.equal(stderr, '')
    return stdout
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const isRefused = ({ source }: Block): boolean => expectationsOf(source).errors.length > 0

/** Every difference between the types of some blocks and their pages, block by block: one run of tsc for all. */
const typeFaults = async (blocks: readonly Block[]): Promise<readonly (readonly string[])[]> => {
  const sources = blocks.map(({ source }) => bare(source))
  const diagnostics = await typeCheckAll(sources)
  return sources.map((source, i) => faults(source, { diagnostics: diagnostics[i]!, instantiations: 0 }))
}

/** Checks that a block prints the output on its page. A program that tsc refuses prints nothing. */
const checkOutput = async (block: Block): Promise<void> => {
  const { source, shown } = block
  assert.ok(!isRefused(block) || shown === undefined)
  if (!isRefused(block)) assert.equal(await printed(source), shown?.source ?? '')
}

const programs = pages.flatMap(({ name, blocks }) =>
  blocks.filter(({ language }) => language === 'ts').map(block => ({ name, block })),
)
const found = typeFaults(programs.map(({ block }) => block))
for (const [i, { name, block }] of programs.entries()) {
  test(`the program on line ${block.line} of ${name} type-checks as it says, and prints what follows it`, async () => {
    assert.deepEqual((await found)[i], [])
    await checkOutput(block)
  })
}

test('the README has programs, and every block of a page is a program, a command, an output or a file', () => {
  const readme = pages.find(({ name }) => name === 'README.md')!
  assert.ok(readme.blocks.some(({ language, shown }) => language === 'ts' && shown !== undefined))
  const others = pages.flatMap(({ name, blocks }) =>
    blocks
      .filter(({ language }) => !['ts', 'sh', 'json', 'yaml', 'text'].includes(language))
      .map(({ line }) => `${name}:${line}`),
  )
  assert.deepEqual(others, [])
})

/** A page of one program and its output. */
const page = (source: string, output?: string): Block =>
  pageOf('mutant', ['```ts', source, '```', ...(output === undefined ? [] : ['', '```text', output, '```'])].join('\n'))
    .blocks[0]!
const three = "import { f32 } from 'partensor'\nconsole.log(`${f32('batch', 3).shape.length}`)"

test('a program that does as its page says passes; another output, a type error, an error that does not come or has another text do not', async () => {
  await checkOutput(page(three, '2'))
  await assert.rejects(checkOutput(page(three, '3')), /2\\n/)
  const mutants = [
    [page(three, '2'), /^$/],
    [page("export const x: number = ''"), /^line 2 is refused: /],
    [page('// error: not assignable\nexport const x: number = 1'), /^line 3 is not refused with: not assignable/],
    [page("// error: cannot find\nexport const x: number = ''"), /^line 3 is not refused with: cannot find/],
  ] as const
  for (const [i, texts] of (await typeFaults(mutants.map(([mutant]) => mutant))).entries())
    assert.match(texts.join('\n'), mutants[i]![1])
})

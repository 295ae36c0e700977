import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { inFolderOf } from '../support/page-folders.ts'
import { pageOf, pages, root, type Block, type Page } from '../support/pages.ts'

// Commands of the pages. Those of `partensor` run, one after another, in a folder with a small model and the page's own
// data files; the block that follows is their output. The others, which install, test and measure, name existing
// scripts and files.

const prefix = /^(?:npm run -s partensor -- |npx partensor )/
const main = path.join(root, 'src/cli/main.ts')
const tsx = import.meta.resolve('tsx')
const scripts: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(path.join(root, 'package.json'), 'utf8'),
).scripts

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line in a process of its own, with an empty cache, so that `auto` is wasm on every machine. */
const partensor = (cwd: string, args: readonly string[]): Promise<Outcome> =>
  new Promise(resolve => {
    const env = { ...process.env, PARTENSOR_CACHE: path.join(cwd, 'cache') }
    execFile(
      process.execPath,
      ['--import', tsx, main, ...args],
      { cwd, env, timeout: 120_000 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr })
      },
    )
  })

/** The words of a command; single and double quotes hold words together. */
const wordsOf = (command: string): readonly string[] =>
  [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? '',
  )

/** The commands of a block, with lines joined that end in a backslash. */
const commandsOf = ({ source }: Block): readonly string[] =>
  source
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .flatMap(line => line.split(' && '))

/** The fault of a command that is not run, if there is one: a script or a file that does not exist. */
const faultOf = (command: string): string | undefined => {
  const [program, ...args] = wordsOf(command)
  const missing = args.find(word => /^(?:test|examples|bench|src)\//.test(word) && !existsSync(path.join(root, word)))
  if (missing !== undefined) return `there is no ${missing}`
  if (program === 'node' || program === 'npx') return undefined
  if (program !== 'npm') return `${program} is no program that a page may show`
  const [name = '', script = ''] = args.filter(word => !word.startsWith('-'))
  if (name === 'install' || name === 'ci') return undefined
  const called = name === 'run' ? script : name
  return called in scripts ? undefined : `package.json has no script ${called}`
}

const number = /-?\d[\d,]*(?:\.\d+)?/g
/** Texts that differ in the last digits of numbers alone: targets compute in float32, each in its own order. */
const alike = (found: string, expected: string): void => {
  assert.equal(found.replaceAll(number, '0'), expected.replaceAll(number, '0'), found)
  const numbersIn = (text: string): readonly number[] =>
    (text.match(number) ?? []).map(match => Number(match.replaceAll(',', '')))
  numbersIn(found).forEach((n, i) => {
    const due = numbersIn(expected)[i]!
    assert.ok(Math.abs(n - due) <= 5e-3 * Math.abs(due), `${n} where the page says ${due}: ${found}`)
  })
}

/** Fields of JSON lines that differ from machine to machine: their types alone are compared. */
const ofMachine = ['seconds', 'peakMemory', 'target']

/**
 * JSON lines with the same keys in the same order and equal values, with numbers compared up to the page's rounding.
 */
const sameLines = (found: string, expected: string): void => {
  const linesOf = (text: string): readonly (readonly [string, unknown])[][] =>
    text
      .trim()
      .split('\n')
      .map(line => Object.entries(JSON.parse(line) as object))
  const [lines, due] = [linesOf(found), linesOf(expected)]
  assert.deepEqual(
    lines.map(line => line.map(([key]) => key)),
    due.map(line => line.map(([key]) => key)),
  )
  lines.flat().forEach(([key, value], i) => {
    const shown = due.flat()[i]![1]
    if (ofMachine.includes(key)) assert.equal(typeof value, typeof shown, key)
    else if (typeof value === 'number')
      assert.ok(Math.abs(value - Number(shown)) <= 5e-3 * Math.abs(value), `${key} is ${value}, on the page ${shown}`)
    else assert.deepEqual(value, shown, key)
  })
}

/** Runs the commands of a page in order and compares their output. */
const check = (page: Page): Promise<void> =>
  inFolderOf(page, async folder => {
    for (const block of page.blocks.filter(({ language }) => language === 'sh')) {
      const at = `${page.name}:${block.line}`
      let stdout = ''
      for (const command of commandsOf(block)) {
        if (!prefix.test(command)) {
          assert.equal(faultOf(command), undefined, at)
          continue
        }
        const args = wordsOf(command.replace(prefix, ''))
        // it builds for minutes, or fails if there is no build: its options must be those of its help
        const isNative = args[0] === 'native'
        const done = await partensor(folder, isNative ? [...args.slice(0, 2), '--help'] : args)
        if (isNative)
          args
            .filter(word => word.startsWith('--'))
            .forEach(word => {
              assert.ok(done.stdout.includes(word), `${at}: ${word}`)
            })
        // a command that is refused is shown with its sentence
        assert.ok(done.code === 0 || block.shown?.source.startsWith('partensor: '), `${at}: ${command}\n${done.stderr}`)
        stdout += done.code === 0 ? done.stdout : done.stderr
      }
      if (block.shown?.language === 'json') sameLines(stdout, block.shown.source)
      else if (block.shown !== undefined) alike(stdout, block.shown.source)
    }
  })

for (const page of pages.filter(({ blocks }) => blocks.some(({ language }) => language === 'sh'))) {
  test(`the commands of ${page.name} run and print what it says`, () => check(page))
}

const page = (command: string, language = '', output = ''): Page =>
  pageOf(
    'mutant',
    ['```sh', command, '```', ...(language === '' ? [] : ['', `\`\`\`${language}`, output, '```'])].join('\n'),
  )

for (const [mutant, wrong, fault] of [
  ['a script that there is not', page('npm run compile'), /no script compile/],
  ['a file that there is not', page('node --import tsx examples/none.ts'), /no examples\/none\.ts/],
  ['an option that there is not', page('npm run -s partensor -- native install --fast'), /--fast/],
  ['a command that fails', page('npm run -s partensor -- explain --model none'), /explain --model none/],
  ['another output', page('npm run -s partensor -- --version', 'text', '0.2.0'), /Expected values|where the page says/],
] as const) {
  test(`the test refutes ${mutant}`, () => assert.rejects(check(wrong), fault))
}

test('outputs are compared up to rounding, and JSON lines without what differs from machine to machine', () => {
  alike('loss 5.8642 of 9,728\n', 'loss 5.8640 of 9,728\n')
  assert.throws(() => {
    alike('loss 5.9642\n', 'loss 5.8640\n')
  })
  assert.throws(() => {
    alike('the loss 5.8642\n', 'loss 5.8642\n')
  })
  sameLines('{"event":"done","loss":1.0004,"seconds":3}\n', '{"event":"done","loss":1,"seconds":0.1}\n')
  assert.throws(() => {
    sameLines('{"event":"done","loss":1}\n', '{"event":"done","loss":2.5}\n')
  }, /loss is 1, on the page 2\.5/)
  assert.throws(() => {
    sameLines('{"event":"done","loss":1}\n', '{"event":"step","loss":1}\n')
  }, /event/)
  assert.throws(() => {
    sameLines('{"event":"done","loss":1,"rows":8}\n', '{"event":"done","loss":1}\n')
  })
  assert.throws(() => {
    sameLines('{"event":"done","seconds":1}\n', '{"event":"done","seconds":"1"}\n')
  }, /seconds/)
})

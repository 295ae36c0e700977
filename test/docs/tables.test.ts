import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { commandLine } from '../../src/cli/program.ts'
import { optimizerNames, optimizers, type OptimizerName } from '../../src/tune/index.ts'
import { nothing } from '../support/program.ts'
import { pageNamed, pages, type Page } from '../support/pages.ts'

// Tables of the pages that list parts of the program: its commands, methods, targets and options.

const program = commandLine(nothing)

const withSubcommands = (command: Command): readonly Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
]
const options = withSubcommands(program).flatMap(command => command.options)
/** The values that an option of a command takes. */
const choicesOf = (command: string, option: string): readonly string[] =>
  program.commands.find(found => found.name() === command)?.options.find(({ long }) => long === option)?.argChoices ??
  []

/** The first cell of each row of the table with this head, without its backquotes and links. */
const firstCells = ({ lines }: Page, head: string): readonly string[] => {
  const start = lines.findIndex(line => line.startsWith(`| ${head} |`))
  const rows = lines.slice(start + 2)
  assert.ok(start >= 0, `there is no table ${head}`)
  return rows
    .slice(
      0,
      rows.findIndex(line => !line.startsWith('|')),
    )
    .map(line => /^\| `([\w-]+)/.exec(line)?.[1] ?? line)
}

test('the README lists every command, and the page of the command line too', () => {
  const commands = program.commands.map(command => command.name()).sort()
  assert.ok(commands.length >= 9)
  assert.deepEqual(firstCells(pageNamed('README.md'), 'command').toSorted(), commands)
  assert.deepEqual([...new Set(firstCells(pageNamed('docs/command-line.md'), 'command'))].sort(), commands)
})

test('the README lists every method, and the page of methods too', () => {
  const methods = choicesOf('finetune', '--method').toSorted()
  assert.ok(methods.length >= 9)
  assert.deepEqual(firstCells(pageNamed('README.md'), '`--method`').toSorted(), methods)
  assert.deepEqual(firstCells(pageNamed('docs/methods.md'), 'method').toSorted(), methods)
})

test('the page of targets lists every target', () => {
  const targets = choicesOf('finetune', '--target')
    .filter(target => target !== 'auto')
    .toSorted()
  assert.ok(targets.length >= 5)
  assert.deepEqual(firstCells(pageNamed('docs/targets.md'), 'target').toSorted(), targets)
})

test('the page of the command line lists every optimizer with its defaults', () => {
  const settings = (name: OptimizerName): string =>
    Object.entries(optimizers[name].settings)
      .map(([key, value]) => `${key}=${value}`)
      .join(',')
  const page = pageNamed('docs/command-line.md')
  assert.deepEqual(firstCells(page, '`--optimizer`'), optimizerNames)
  for (const name of optimizerNames) {
    const cells = page.lines.find(line => line.startsWith(`| \`${name}\` |`))!.split(' | ')
    assert.deepEqual(
      [cells[2], Number(cells[3]), parseFloat(cells[4]!)],
      [`\`${settings(name)}\``, optimizers[name].lr, optimizers[name].weightDecay],
    )
  }
})

/** Options that a page names in its prose and no command has. Those of other programs stand behind their names. */
const unknownOptions = ({ name, lines }: Page): readonly string[] =>
  lines
    .flatMap(line => [...line.matchAll(/`([^`]+)`/g)].map(match => match[1]!))
    .filter(code => !/^(?:npm|node) /.test(code))
    .flatMap(code => [...code.matchAll(/(?<![\w-])--[a-z][\w-]*/g)].map(match => match[0]))
    .filter(option => option !== '--help' && !options.some(({ long }) => long === option))
    .map(option => `${name}: ${option}`)

test('every option that a page names is an option of a command', () => {
  assert.deepEqual(pages.flatMap(unknownOptions), [])
})

test('a table without a method and a page with an option that there is not are refuted', () => {
  const page = (...lines: readonly string[]): Page => ({ name: 'mutant', lines, blocks: [] })
  assert.deepEqual(
    firstCells(page('| method | x |', '|---|---|', '| `paca` | y |', '| `lora` ([x](y)) | y |', ''), 'method'),
    ['paca', 'lora'],
  )
  assert.deepEqual(unknownOptions(page('`--rank`, `finetune --rnk 8`, `npm run bench -- --only x`')), ['mutant: --rnk'])
})

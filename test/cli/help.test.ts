import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { commandLine } from '../../src/cli/program.ts'
import { nothing } from '../support/program.ts'
import { noNode } from '../support/native-library.ts'
import { jsonLines, partensor, tiny } from '../support/command-line.ts'

const method = [
  'rank',
  'alpha',
  'rslora',
  'dropout',
  'target-modules',
  'exclude-modules',
  'layers',
  'rank-pattern',
  'alpha-pattern',
  'modules-to-save',
  'bias',
  'quantize',
  'no-double-quantize',
  'share-columns',
] as const
const training = [
  'steps',
  'epochs',
  'batch',
  'seq',
  'augment',
  'skip-broken',
  'frozen-statistics',
  'accumulate',
  'no-shuffle',
  'optimizer',
  'optimizer-args',
  'lr',
  'schedule',
  'warmup',
  'weight-decay',
  'clip',
  'checkpointing',
  'memory',
  'target',
  'threads',
  'precision',
] as const
const options = {
  'finetune': [
    'model',
    'data',
    'eval',
    'adapter',
    'method',
    ...method,
    'select',
    'select-steps',
    'columns',
    'seed',
    ...training,
    'save-optimizer',
    'save-every',
    'resume',
    'log',
    'html',
    'out',
    'dry-run',
    'json',
    'config',
  ],
  'compare': [
    'model',
    'data',
    'eval',
    'methods',
    'selects',
    'seeds',
    ...method,
    'select-steps',
    'lr-of',
    'lrs',
    ...training,
    'html',
    'json',
    'config',
  ],
  'export': ['model', 'adapter', 'as', 'dtype', 'out', 'json', 'config'],
  'evaluate': [
    'model',
    'adapter',
    'quantize',
    'no-double-quantize',
    'data',
    'batch',
    'seq',
    'skip-broken',
    'out',
    'target',
    'threads',
    'precision',
    'json',
    'config',
  ],
  'classify': [
    'model',
    'adapter',
    'quantize',
    'no-double-quantize',
    'image',
    'top',
    'batch',
    'skip-broken',
    'target',
    'threads',
    'precision',
    'json',
    'config',
  ],
  'generate': [
    'model',
    'adapter',
    'quantize',
    'no-double-quantize',
    'prompt',
    'max-tokens',
    'chat',
    'temperature',
    'seed',
    'target',
    'threads',
    'precision',
    'json',
    'config',
  ],
  'explain': [
    'model',
    'method',
    ...method,
    'seed',
    'batch',
    'seq',
    'target',
    'precision',
    'checkpointing',
    'memory',
    'optimizer',
    'html',
    'json',
    'config',
  ],
  'plan': [
    'model',
    'method',
    ...method,
    'methods',
    'seed',
    'batch',
    'seq',
    'accumulate',
    'device',
    'sweep',
    'target',
    'precision',
    'checkpointing',
    'memory',
    'optimizer',
    'html',
    'json',
    'config',
  ],
  'reproduce': ['ours', 'json'],
  'doctor': ['threads', 'json'],
  'native install': ['gpu', 'wheel', 'json'],
  'native status': ['json'],
  'completion': [],
} as const

test('--help of every command names every option', () => {
  const program = commandLine(nothing)
  const all = program.helpInformation()
  for (const [name, names] of Object.entries(options)) {
    const command = name
      .split(' ')
      .reduce<Command>((of, word) => of.commands.find(one => one.name() === word)!, program)
    assert.match(all, new RegExp(`^ {2}${name.split(' ')[0]} `, 'm'))
    assert.deepEqual(
      [...command.helpInformation().matchAll(/^ {2}(?:-\w, )?--([\w-]+).* \w/gm)].map(match => match[1]),
      [...names, 'help'],
      name,
    )
  }
})

test('--help prints help, and nothing else', async () => {
  const { code, stdout, stderr } = await partensor('explain', '--help')
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^Usage: partensor explain /)
})

test('doctor says which targets work, and they do', async () => {
  const { code, stdout } = await partensor('doctor', '--json')
  const [found, ...more] = jsonLines(stdout)
  assert.equal(code, 0)
  assert.equal(more.length, 0)
  assert.deepEqual(
    (found!['targets'] as readonly { target: string; works: boolean }[]).map(({ target, works }) => [target, works]),
    [
      ['auto', true],
      ['graph', noNode === undefined],
      ['wasm', true],
      ['node', noNode === undefined],
      ['cpu', true],
      ['reference', true],
    ],
  )
})

test('explain says that x[:, columns] is kept and x is not', async () => {
  const [people, programs] = await Promise.all(
    [[], ['--json']].map(more =>
      partensor('explain', '--model', tiny, '--method', 'paca', '--rank', '4', '--batch', '2', '--seq', '24', ...more),
    ),
  )
  assert.match(people!.stdout, /x\[:, columns\] of model\.layers\.0\.self_attn\.q_proj; x is not kept/)
  const [line] = jsonLines(programs!.stdout)
  assert.deepEqual([line!['trainable'], line!['parameters']], [4864, 133_440])
})

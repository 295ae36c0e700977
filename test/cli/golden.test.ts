import assert from 'node:assert/strict'
import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { noNode } from '../support/native-library.ts'
import {
  goldenRows,
  interrupted,
  jsonLines,
  partensor,
  temporary,
  tiny,
  writeRows,
  type Outcome,
} from '../support/command-line.ts'

/** The recipe of the golden curves, as a user would type it. */
const recipe = [
  '--lr',
  '5e-3',
  '--schedule',
  'cosine',
  '--warmup',
  '2',
  '--steps',
  '10',
  '--weight-decay',
  '0.01',
  '--clip',
  '1',
  '--no-shuffle',
]
const paca = ['--method', 'paca', '--rank', '4', '--columns', join(tiny, 'paca.safetensors')]
interface Golden {
  readonly paca: readonly number[]
  readonly full: readonly number[]
  readonly recipe: { readonly lr: readonly number[] }
}

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const golden = JSON.parse(await readFile(join(tiny, 'losses.json'), 'utf8')) as Golden

const finetune = (name: string, ...more: readonly string[]): Promise<Outcome> =>
  partensor('finetune', '--model', tiny, '--data', data, ...recipe, '--out', join(directory, name), '--json', ...more)
const losses = (lines: ReturnType<typeof jsonLines>): readonly number[] =>
  lines.filter(({ event }) => event === 'step').map(({ loss }) => Number(loss))
const near = (found: readonly number[], due: readonly number[], tolerance: number): void => {
  assert.equal(found.length, due.length)
  found.forEach((x, i) => assert.ok(Math.abs(x - due[i]!) <= tolerance, `${x} at ${i}, where ${due[i]} is due`))
}

for (const [target, tolerance] of [
  ['reference', 1e-5],
  ['wasm', 1e-3],
  ['graph', 1e-3],
  ['node', 1e-3],
  ['cpu', 1e-3],
] as const) {
  test(
    `the curves of PaCA and full fine-tuning on ${target} are those of PyTorch`,
    { skip: target === 'node' || target === 'graph' ? (noNode ?? false) : false },
    async () => {
      const [some, all] = await Promise.all([
        finetune(`paca-${target}`, ...paca, '--target', target, '--eval', data),
        finetune(`full-${target}`, '--method', 'full', '--target', target),
      ])
      assert.equal(some.stderr, '')
      assert.equal(all.stderr, '')
      const lines = jsonLines(some.stdout)
      const done = lines.at(-1)!
      near(losses(lines), golden.paca.slice(0, 10), tolerance)
      near(losses(jsonLines(all.stdout)), golden.full.slice(0, 10), tolerance)
      near(
        [Number(done['evalLossBefore']), Number(done['evalLossAfter'])],
        [golden.paca[0]!, golden.paca[10]!],
        tolerance,
      )
    },
  )
}

test('with --json every step is one line, the end another, and nothing else is printed', async () => {
  const { code, stdout, stderr } = await finetune('protocol', ...paca, '--target', 'wasm')
  const lines = jsonLines(stdout)
  assert.deepEqual([code, stderr], [0, ''])
  assert.equal(lines.length, 11)
  for (const [i, line] of lines.slice(0, 10).entries()) {
    assert.deepEqual(Object.keys(line), ['event', 'step', 'loss', 'lr', 'gradNorm', 'tokens', 'seconds'])
    assert.equal(line['step'], i + 1)
    assert.ok(Math.abs(Number(line['lr']) - golden.recipe.lr[i]!) < 1e-9)
  }
  const { event, steps, trainable, evalLossBefore, evalLossAfter, adapter } = lines.at(-1)!
  assert.deepEqual(
    { event, steps, trainable, evalLossBefore, evalLossAfter, adapter },
    {
      event: 'done',
      steps: 10,
      trainable: 4864,
      evalLossBefore: null,
      evalLossAfter: null,
      adapter: join(directory, 'protocol'),
    },
  )
  assert.deepEqual((await readdir(join(directory, 'protocol'))).sort(), [
    'adapter_config.json',
    'adapter_model.safetensors',
    'settings.json',
  ])
})

test('a saved adapter, loaded again, has the loss that training ended with', async () => {
  const [some, all] = await Promise.all([
    finetune('again-paca', ...paca, '--target', 'wasm'),
    finetune('again-full', '--method', 'full', '--target', 'wasm'),
  ])
  assert.deepEqual([some.code, all.code], [0, 0])
  const evaluated = await Promise.all(
    ['again-paca', 'again-full'].map(name =>
      partensor(
        'evaluate',
        '--model',
        tiny,
        '--adapter',
        join(directory, name),
        '--data',
        data,
        '--target',
        'wasm',
        '--json',
      ),
    ),
  )
  evaluated.forEach(({ stderr, stdout }, i) => {
    assert.equal(stderr, '')
    const [line, ...more] = jsonLines(stdout)
    assert.equal(more.length, 0)
    near([Number(line!['loss'])], [(i === 0 ? golden.paca : golden.full)[10]!], 1e-3)
    assert.equal(line!['tokens'], 28)
    assert.ok(Math.abs(Math.log(Number(line!['perplexity'])) - Number(line!['loss'])) < 1e-9)
  })
})

test('accumulation over two micro-batches equals one batch of both', async () => {
  const [large, small] = await Promise.all([
    finetune('one', ...paca, '--target', 'reference', '--batch', '2', '--steps', '3', '--warmup', '0'),
    finetune(
      'two',
      ...paca,
      '--target',
      'reference',
      '--batch',
      '1',
      '--accumulate',
      '2',
      '--steps',
      '3',
      '--warmup',
      '0',
    ),
  ])
  const a = jsonLines(large.stdout)
  const b = jsonLines(small.stdout)
  assert.deepEqual([a.length, b.length], [4, 4])
  near(losses(b), losses(a), 1e-6)
  near(
    b.slice(0, 3).map(line => Number(line['gradNorm'])),
    a.slice(0, 3).map(line => Number(line['gradNorm'])),
    1e-6,
  )
})

test('an existing empty directory is taken, epochs count, and people get plain lines', async () => {
  await mkdir(join(directory, 'empty'))
  const { code, stdout, stderr } = await partensor(
    'finetune',
    '--model',
    tiny,
    '--data',
    data,
    '--eval',
    data,
    '--epochs',
    '2',
    '--batch',
    '1',
    '--target',
    'wasm',
    '--out',
    join(directory, 'empty'),
  )
  assert.equal(code, 0)
  assert.match(stdout, /^held-out loss 5\.\d+ → 5\.\d+\nadapter saved in .*empty \(9,728 trained parameters\)\n$/)
  assert.match(
    stderr,
    /^step 4\/4 {2}loss \d\.\d+ {2}lr 0\.0001 {2}[\d.]+ tokens\/s {2}0\.0 s left {2}plan \d+ KB, process \d+ MB$/m,
  )
})

test('an interrupt ends the run after its step, and what it learned is saved', async () => {
  const out = join(directory, 'interrupted')
  const { code, stdout, stderr } = await interrupted(
    ['finetune', '--model', tiny, '--data', data, '--steps', '1000000', '--target', 'wasm', '--json', '--out', out],
    '"step":3',
  )
  const lines = jsonLines(stdout)
  const { event, steps, adapter, interrupted: stopped } = lines.at(-1)!
  assert.deepEqual([code, stderr, event, steps, adapter, stopped], [130, '', 'done', lines.length - 1, out, true])
  assert.deepEqual((await readdir(out)).sort(), ['adapter_config.json', 'adapter_model.safetensors', 'settings.json'])
})

test('no run leaves a temporary file', async () => {
  assert.deepEqual(
    (await readdir(directory)).filter(name => name.startsWith('.') || name.endsWith('.tmp')),
    [],
  )
})

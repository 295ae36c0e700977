import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { orThrow } from '../../src/text/index.ts'
import { compare, comparisonTable, type CompareEvent, type CompareOptions } from '../../src/program/index.ts'
import type { RunCommand } from '../../src/program/commands.ts'
import { openModel, parameterCounts } from '../../src/program/model.ts'
import { adapterUse } from '../../src/program/adapter-arguments.ts'
import { methodOptions, type MethodChoice } from '../../src/program/method.ts'
import { targetsOf, tuneModel } from '../../src/program/tune.ts'
import type { CompareRow } from '../../src/program/compare/table.ts'
import { tiny } from '../support/command-line.ts'
import { methodNames, recordOf, type MethodName } from '../../src/tune/index.ts'
import { optimizerNames, optimizers, type OptimizerName } from '../../src/tune/index.ts'
import { data } from '../support/finetuned.ts'

const { tuned, counts } = await (async () => {
  const source = await orThrow(openModel(tiny))
  await source.checkpoint.close()
  const model = async (choice: MethodChoice) => {
    const options = await orThrow(async () => methodOptions(choice, source.checkpoint.architecture))
    const targets = await orThrow(async () => targetsOf(source, options))
    return { adapted: await orThrow(async () => tuneModel(source, options, {}, targets)), targets }
  }
  return {
    tuned: model,
    counts: async (choice: MethodChoice): Promise<number> => {
      const { adapted, targets } = await model(choice)
      return parameterCounts(adapted, source.checkpoint, targets.modules).trainable
    },
  }
})()

/** Inputs and outputs of the seven projections of a layer. */
const modules = [
  [64, 64],
  [64, 32],
  [64, 32],
  [64, 64],
  [64, 176],
  [64, 176],
  [176, 64],
] as const
const total = (of: (input: number, output: number) => number): number =>
  2 * modules.reduce((sum, [input, output]) => sum + of(input, output), 0)
const trained: Readonly<Record<Exclude<MethodName, 'biases'>, (r: number) => number>> = {
  paca: r => total((_, o) => r * o),
  lora: r => total((i, o) => r * (i + o)),
  dora: r => total((i, o) => r * (i + o) + o),
  moslora: r => total((i, o) => r * (i + o) + r * r),
  vera: r => total((_, o) => r + o),
  shira: r => total((i, o) => r * (i + o)),
  lorafa: r => total((_, o) => r * o),
  miss: r => total((_, o) => r * o),
  // keys, values, the inputs of the feed-forward layer's end
  ia3: () => 2 * (32 + 32 + 176),
  // whole heads of 16 columns, and channels
  s2ft: r => 2 * 64 * (16 * Math.ceil(r / 16) + r),
  norms: () => 5 * 64,
  full: () => total((i, o) => i * o),
}
// a LLaMA has no biases
const isHere = (method: MethodName): method is keyof typeof trained => method !== 'biases'
for (const method of methodNames.filter(isHere)) {
  test(`${method} trains as many parameters as its formula says, on a quantized base too`, async () => {
    const rank = recordOf(method).rank ? { rank: 4 } : {}
    assert.equal(await counts({ method, seed: 0, ...rank }), trained[method](4))
    if (recordOf(method).quantizes)
      assert.equal(await counts({ method, seed: 0, ...rank, quantize: 'nf4' }), trained[method](4))
  })
}

test('biases are refused by name for a model that has none', () =>
  assert.rejects(counts({ method: 'biases', seed: 0 }), {
    message: '--method biases trains bias vectors, and this model has none',
  }))

test('targets are names, ends of paths, an expression, or all linear modules; layers, exclusions and patterns narrow them', async () => {
  const names = async (choice: Partial<MethodChoice>): Promise<readonly string[]> =>
    (await tuned({ method: 'lora', seed: 0, ...choice })).targets.modules.map(
      ({ path, rank, alpha }) => `${path.replace('model.layers.', '')} ${rank} ${alpha}`,
    )
  assert.deepEqual(await names({ targetModules: '.*\\.0\\..*_attn\\.(q|v)_proj' }), [
    '0.self_attn.q_proj 8 8',
    '0.self_attn.v_proj 8 8',
  ])
  assert.deepEqual(await names({ targetModules: ['self_attn.k_proj'], layers: [1], alpha: 4 }), [
    '1.self_attn.k_proj 8 4',
  ])
  assert.equal((await names({ targetModules: 'all-linear' })).length, 14)
  const others = ['mlp.gate_proj', 'up_proj', 'down_proj', 'o_proj', 'k_proj']
  assert.deepEqual(
    await names({ excludeModules: others, layers: [0], rankPattern: { q_proj: 2 }, alphaPattern: { v_proj: 3 } }),
    ['0.self_attn.q_proj 2 2', '0.self_attn.v_proj 8 3'],
  )
})

test('an adapter is named alone or with a weight; a colon may stand in its path, and what is there wins', async () => {
  const use = (text: string, ...there: readonly string[]) =>
    orThrow(async () => adapterUse(text, path => there.includes(path)))
  assert.deepEqual(
    [await use('a'), await use('a:0.5'), await use('c:\\a'), await use('a:b:-2'), await use('a:1e-1')],
    [
      ['a', 1],
      ['a', 0.5],
      ['c:\\a', 1],
      ['a:b', -2],
      ['a', 0.1],
    ].map(([directory, weight]) => ({ directory, weight })),
  )
  for (const tail of ['half', ' ', '0x10', 'Infinity', '1e999']) {
    await assert.rejects(
      use(`a:${tail}`),
      new RegExp(`--adapter a:${tail}: behind the colon stands a weight, as in a:0\\.5`),
    )
  }
  assert.deepEqual(
    [
      await use('run:2', 'run:2'),
      await use('run:2:0.5', 'run:2'),
      await use('run:2', 'run'),
      await use('run:best', 'run:best'),
    ],
    [
      ['run:2', 1],
      ['run:2', 0.5],
      ['run', 2],
      ['run:best', 1],
    ].map(([directory, weight]) => ({ directory, weight })),
  )
  await assert.rejects(
    use('run:2', 'run:2', 'run'),
    /--adapter run:2: there is a directory of this name, and run too: write run:2:1 or run\/:2$/,
  )
})

/** The options that a command line asks for, by name. */
const parsed = (args: readonly string[]): Readonly<Record<string, string>> => {
  const flags = new Command().allowUnknownOption().allowExcessArguments().parse(args, { from: 'user' }).args
  return Object.fromEntries(
    flags.flatMap((word, i) => (word.startsWith('--') ? [[word.slice(2), flags[i + 1] ?? '']] : [])),
  )
}
/** A run that comes to a loss made of its method's rank and its seed, without training anything. */
const pretended: RunCommand = async args => {
  const { method = '', rank = '0', seed = '0', lr = '' } = parsed(args)
  const step = (n: number, seconds: number) => ({
    event: 'step',
    step: n,
    loss: 1,
    lr: Number(lr),
    gradNorm: 1,
    tokens: 1,
    seconds,
  })
  const done = {
    event: 'done',
    steps: 3,
    trainable: 1,
    evalLossBefore: 5,
    evalLossAfter: Number(rank) + Number(seed),
    adapter: 'a',
    interrupted: false,
    seconds: 1,
    target: 'tfjs wasm',
    peakMemory: method === 'paca' ? 1e8 : 2e8,
  }
  return {
    code: 0,
    stdout: [step(1, 9), step(2, 0.5), step(3, 1.5), done].map(line => `${JSON.stringify(line)}\n`).join(''),
    stderr: '',
  }
}
const options: CompareOptions = {
  model: tiny,
  data,
  eval: data,
  methods: ['paca', 'lora', 'full'],
  seeds: [1, 3, 5],
  steps: 3,
  batch: 2,
  accumulate: 1,
  shuffle: true,
  lr: 1e-3,
  lrOf: { lora: 2e-4 },
  schedule: 'constant',
  warmup: 0,
  weightDecay: 0,
  clip: 1,
  target: 'wasm',
  rank: 8,
  alpha: 16,
}
const eventsOf = async (more: Partial<CompareOptions>, run: RunCommand): Promise<readonly CompareEvent[]> => {
  const events: CompareEvent[] = []
  for await (const event of compare({ ...options, ...more }, run)) events.push(event)
  return events
}
const rowsOf = async (more: Partial<CompareOptions> = {}, run = pretended): Promise<readonly CompareRow[]> => {
  const last = (await eventsOf(more, run)).at(-1)!
  assert.ok(last.event === 'done')
  return last.rows
}

test('ranks are those at which methods train as nearly as possible what the first trains', async () => {
  const rows = await rowsOf({ methods: ['paca', ...methodNames.filter(method => isHere(method) && method !== 'paca')] })
  const due = trained.paca(8)
  for (const { method, rank, trainable } of rows) {
    assert.ok(isHere(method))
    assert.equal(trainable, trained[method](rank ?? 0))
    if (recordOf(method).rank === undefined) {
      assert.equal(rank, null)
      continue
    }
    for (const other of [rank! - 1, rank! + 1])
      if (other > 0)
        assert.ok(Math.abs(trained[method](other) - due) >= Math.abs(trainable - due), `${method} at ${rank}`)
  }
})

test('a row is the mean and deviation of its runs, the median of peaks and of steps but the first, and what explain says is kept', async () => {
  const [paca, lora, full] = await rowsOf()
  assert.deepEqual([paca!.loss, paca!.deviation, paca!.losses], [8 + 3, 2, [9, 11, 13]])
  assert.deepEqual([paca!.stepSeconds, paca!.peakMemory, lora!.peakMemory], [1, 1e8, 2e8])
  assert.ok(
    lora!.savedBytesPerToken! > paca!.savedBytesPerToken! && full!.savedBytesPerToken! > paca!.savedBytesPerToken!,
  )
  assert.equal((await rowsOf({ seeds: [1], methods: ['paca'] }))[0]!.deviation, null)
  assert.equal(comparisonTable([paca!, full!]).split('\n').length, 3)
  assert.match(comparisonTable([paca!]), /^paca +8 +9,728 +11\.0000 ± 2\.0000 +[\d,]+ +100 MB +1\.00 s$/m)
})

test('each run is asked what its method takes: a learning rate of its own, no alpha for PaCA, a selection for each PaCA', async () => {
  const asked: Readonly<Record<string, string>>[] = []
  await rowsOf({ selects: ['random', 'gradient'], seeds: [7], selectSteps: 2 }, args => {
    asked.push(parsed(args))
    return pretended(args)
  })
  assert.deepEqual(
    asked.map(({ method, lr, alpha, select, seed, rank, 'select-steps': steps }) => [
      method,
      lr,
      alpha,
      select,
      seed,
      rank,
      steps,
    ]),
    [
      ['lora', '0.0002', '16', undefined, '7', '8', undefined],
      ['full', '0.001', undefined, undefined, '7', undefined, undefined],
      ['paca', '0.001', undefined, 'random', '7', '15', undefined],
      ['paca', '0.001', undefined, 'gradient', '7', '15', '2'],
    ],
  )
})

test('a run that fails ends the comparison with its own sentence', async () => {
  await assert.rejects(
    eventsOf({}, async () => ({
      code: 1,
      stdout: '',
      stderr: 'warning: x\npartensor: step 2: the loss is NaN: nothing was updated\n',
    })),
    /^Error: paca, seed 1: step 2: the loss is NaN: nothing was updated$/,
  )
})

/** A run whose loss is its distance from a best rate: 1e-3 of paca, 1e-2 of lora. */
const atBest: RunCommand = async args => {
  const { method = '', lr = '', seed = '0' } = parsed(args)
  const best = method === 'paca' ? 1e-3 : 1e-2
  const loss = 3 + Math.abs(Math.log10(Number(lr) / best)) + Number(seed) / 100
  const { stdout, ...rest } = await pretended(args)
  return { ...rest, stdout: stdout.replace(/"evalLossAfter":[\d.]+/, `"evalLossAfter":${loss}`) }
}
const sweep: Partial<CompareOptions> = { methods: ['paca', 'lora'], lrs: [1e-4, 1e-3, 1e-2], seeds: [1, 3] }

test('a sweep runs every method at every rate with every seed, and marks the best rate of each', async () => {
  const events = await eventsOf(sweep, atBest)
  const runs = events.flatMap(event => (event.event === 'run' ? [`${event.name} ${event.lr} ${event.seed}`] : []))
  assert.equal(new Set(runs).size, 12)
  assert.equal(runs.length, 12)
  const rows = await rowsOf(sweep, atBest)
  assert.deepEqual(
    rows.map(({ name, lr, best, losses }) => [name, lr, best, losses.length]),
    [
      ['paca', 1e-4, false, 2],
      ['paca', 1e-3, true, 2],
      ['paca', 1e-2, false, 2],
      ['lora', 1e-4, false, 2],
      ['lora', 1e-3, false, 2],
      ['lora', 1e-2, true, 2],
    ],
  )
  const table = comparisonTable(rows).split('\n')
  assert.match(table[2]!, /^paca +0\.001 \* +8 +9,728 +3\.0200 ± 0\.0141 /)
  assert.match(table[1]!, /^paca +0\.0001 +8 /)
  assert.equal(table.at(-1), '* the best rate of its method')
  // mutant: the best of all is not the best of each
  const least = Math.min(...rows.map(({ loss }) => loss))
  assert.ok(rows.filter(({ best, loss }) => best && loss === least).length === 2)
  assert.deepEqual(
    (
      await rowsOf({ ...sweep, lrs: [1e-3, 1e-2] }, async args =>
        atBest(args.map(word => (word === 'lora' ? 'paca' : word))),
      )
    ).map(({ best }) => best),
    [true, false, true, false],
  )
})

test('a sweep over one rate is a comparison at that rate', async () => {
  const [one, other] = [
    await rowsOf({ ...sweep, lrs: [1e-3] }, atBest),
    await rowsOf({ ...sweep, lrs: undefined, lr: 1e-3, lrOf: undefined }, atBest),
  ]
  assert.deepEqual(one, other)
  assert.equal(comparisonTable(one), comparisonTable(other))
})

test('without a rate, each run has that of its optimizer', async () => {
  const rates = async (optimizer: OptimizerName) =>
    (await rowsOf({ methods: ['paca'], lr: undefined, lrOf: undefined, optimizer })).map(({ lr }) => lr)
  for (const name of optimizerNames) assert.deepEqual(await rates(name), [optimizers[name].lr])
})

test('a run of a sweep that fails is named with its rate', async () => {
  const failing: RunCommand = async args =>
    parsed(args)['lr'] === '0.01'
      ? { code: 1, stdout: '', stderr: 'partensor: step 2: the loss is NaN\n' }
      : atBest(args)
  await assert.rejects(eventsOf(sweep, failing), /^Error: paca at 0\.01, seed 1: step 2: the loss is NaN$/)
})

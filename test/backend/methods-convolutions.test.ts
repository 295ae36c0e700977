import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  add,
  biases,
  compile,
  cos,
  crossEntropy,
  dora,
  f32,
  full,
  i32,
  ia3,
  init,
  lora,
  lorafa,
  miss,
  model,
  moslora,
  mul,
  nf4,
  nn,
  norms,
  paca,
  quantized,
  range,
  relu,
  repeat,
  reshape,
  s2ft,
  scalar,
  sgd,
  shira,
  square,
  sum,
  trainStep,
  vera,
  type Method,
  type Opaque,
  type TargetName,
} from '../../src/index.ts'
import { isValue, leaves, type Columns } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'
import { nativeTargets, plainTargets, valuesFor } from '../support/small-models.ts'

/** Methods on convolutions of one's own: PaCA's channels, LoRA as PEFT has it, and what is refused. */

const targets: readonly TargetName[] = [...plainTargets, ...nativeTargets]
const skipOn = (target: TargetName) =>
  (nativeTargets as readonly string[]).includes(target) && noNode !== undefined ? noNode : false

const net = model({
  params: {
    stem: nn.Conv2d(3, 8, { size: 3 }),
    norm: nn.BatchNorm(8),
    spatial: nn.DepthwiseConv2d(8, { size: 3 }),
    point: nn.Conv2d(8, 8, { size: 1 }),
    dilated: nn.Conv2d(8, 8, { size: [3, 2], bias: false }),
    grouped: nn.Conv2d(4, 8, { size: 3 }),
    line: nn.Conv1d(6, 8, { size: 3 }),
    head: nn.Linear(8, 'classes'),
  },
  buffers: { norm: nn.RunningStatistics(8) },
  batch: { image: f32('batch', 9, 8, 3), signal: f32('batch', 'time', 6), y: i32('batch') },
  dims: { classes: 3 },
  forward: (p, { image, signal }, buffers) => {
    const stem = nn.conv2d(image, p.stem, { stride: 2, padding: 'same' })
    const { outputs, buffers: norm } = nn.batchNorm(stem, p.norm, buffers.norm)
    const s = relu(nn.depthwiseConv2d(relu(outputs), p.spatial, { padding: 1 }))
    const d = relu(nn.conv2d(relu(nn.conv2d(s, p.point)), p.dilated, { dilation: 2, padding: ['same', 'same'] }))
    const g = nn.globalAveragePool(nn.conv2d(d, p.grouped, { groups: 2 }))
    const l = nn.globalMaxPool(reshape(nn.conv1d(signal, p.line, { padding: 'same' }), ['batch', 1, 'time', 8]))
    return { outputs: nn.linear(add(g, l), p.head), buffers: { norm } }
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
})
const dims = { batch: 3, time: 7 }
const weights = init.params(net, { seed: 3 })
const batch = valuesFor(net.batch, dims, 5, 3)
const openWith = (method: Method<Opaque>, target: TargetName) =>
  compile(trainStep(adapt(net, method), sgd({ lr: 0.1 })), {
    target,
    threads: 1,
    weights,
    buffers: init.buffers(net),
  })
interface Found {
  readonly sizes: readonly number[]
  readonly data: ArrayLike<number>
}
const found = (tree: unknown): ReadonlyMap<string, Found> => new Map(leaves(tree, isValue))
const gradientsOf = async (method: Method<Opaque>, target: TargetName) => {
  await using run = await openWith(method, target)
  return { gradients: found(await run.gradients(batch)), selection: run.selection }
}

/** The slices of an array at an index along an axis. */
const slices = ({ sizes, data }: Found, axis: number, index: Int32Array): Found => {
  const inner = sizes.slice(axis + 1).reduce((n, size) => n * size, 1)
  const width = sizes[axis]!
  const taken = Array.from(data).filter((_, i) => index.includes(Math.floor(i / inner) % width))
  return { sizes: sizes.with(axis, index.length), data: taken }
}
const near = (what: string, a: Found, b: Found, tolerance = 1e-4): void => {
  assert.deepEqual(a.sizes, b.sizes, what)
  Array.from(b.data).forEach((v, i) =>
    assert.ok(
      Math.abs(a.data[i]! - v) <= tolerance * Math.max(1, Math.abs(v)),
      `${what}[${i}]: ${a.data[i]} is not ${v}`,
    ),
  )
}

const axes = { stem: 2, spatial: 2, point: 2, dilated: 2, grouped: 2, line: 1, head: 0 }
const convolutions = Object.keys(axes) as readonly (keyof typeof axes)[]
/** In the order of the leaf, so that slices of the whole gradient can be compared. */
const selection = new Map(convolutions.map(name => [name, name === 'stem' ? Int32Array.of(0, 2) : Int32Array.of(1, 3)]))
const pacaOf = (): Method<Opaque> => paca<readonly string[], 2>({ targets: convolutions, rank: 2, seed: 0, selection })

for (const target of targets) {
  test(
    `on ${target}, PaCA’s gradient is the whole gradient at the chosen channels`,
    { skip: skipOn(target) },
    async () => {
      const whole = await gradientsOf(full({ targets: convolutions as readonly string[] }), 'reference')
      const part = await gradientsOf(pacaOf(), target)
      for (const name of convolutions) {
        const path = `${name}.weight`
        near(path, part.gradients.get(path)!, slices(whole.gradients.get(path)!, axes[name], selection.get(name)!))
      }
    },
  )

  test(
    `on ${target}, steps of PaCA change the chosen channels and no other number`,
    { skip: skipOn(target) },
    async () => {
      await using run = await openWith(pacaOf(), target)
      for (let k = 0; k < 2; k++) await run.step(batch)
      const before = found(weights)
      for (const [path, { sizes, data }] of found(await run.params())) {
        const old = before.get(path)!.data
        const name = convolutions.find(of => path === `${of}.weight`)
        const inner = name === undefined ? 1 : sizes.slice(axes[name] + 1).reduce((n, size) => n * size, 1)
        const changed = Array.from(data).map((v, i) => v !== old[i])
        const isChosen = (i: number): boolean =>
          name !== undefined && selection.get(name)!.includes(Math.floor(i / inner) % sizes[axes[name]]!)
        assert.ok(
          changed.every((is, i) => !is || isChosen(i)),
          path,
        )
        if (name !== undefined) assert.ok(changed.some(Boolean), path)
      }
    },
  )
}

test('of a weight whose columns were chosen at random, as many input channels are trained as the rank', async () => {
  const { selection: chosen, gradients } = await gradientsOf(
    paca({ targets: ['spatial', 'line'] as readonly string[], rank: 5, seed: 1 }),
    'reference',
  )
  assert.deepEqual(
    [...chosen.values()].map(index => index.length),
    [5, 5],
  )
  assert.ok([...chosen.get('spatial')!].some(channel => channel > 3))
  assert.deepEqual(gradients.get('spatial.weight')!.sizes, [3, 3, 5])
  assert.deepEqual(gradients.get('line.weight')!.sizes, [3, 5, 8])
})

test('a rank above the input channels is refused: a stem has three', async () => {
  await assert.rejects(gradientsOf(paca({ targets: ['stem'] as readonly string[], rank: 8, seed: 0 }), 'reference'), {
    message: 'rank 8 is above the width of stem, which has 3 columns',
  })
})

const refusals: readonly (readonly [text: string, make: () => unknown])[] = [
  [
    'paca trains inputs of a weight, and w is [3, 3, in, out], whose inputs are on no declared axis: declare it as nn.Conv2d does, or by kernel',
    () => paca({ targets: ['w'], rank: 2, seed: 0 }).apply({ w: f32(3, 3, 'in', 'out') }),
  ],
  ...(['lora', 'lorafa'] as const).map(
    name =>
      [
        `${name} adapts matrices and convolutions [..., in, out], and spatial is [3, 3, 8]`,
        () => adapt(net, { lora, lorafa }[name]({ targets: ['spatial'], rank: 2, seed: 0 })),
      ] as const,
  ),
  [
    'lora drops out inputs of matrices, and stem is a convolution: set its dropout to 0',
    () => adapt(net, lora({ targets: ['stem'], rank: 2, dropout: 0.1, seed: 0 })),
  ],
  ...(
    [
      ['dora', () => adapt(net, dora({ targets: ['stem'], rank: 2, seed: 0 }))],
      ['moslora', () => adapt(net, moslora({ targets: ['stem'], rank: 2, seed: 0 }))],
      ['vera', () => adapt(net, vera({ targets: ['stem'], rank: 2, seed: 0 }))],
      ['shira', () => adapt(net, shira({ targets: ['stem'], rank: 2, seed: 0 }))],
      ['miss', () => adapt(net, miss({ targets: ['stem'], rank: 2 }))],
      ['ia3', () => adapt(net, ia3({ targets: ['stem'] }))],
      ['s2ft', () => adapt(net, s2ft({ targets: ['stem'], rank: 2, seed: 0 }))],
      ['nf4', () => adapt(net, quantized(nf4({ double: true }))(paca({ targets: ['stem'], rank: 2, seed: 0 })))],
    ] as const
  ).map(([name, make]) => [`${name} adapts matrices, and stem is [3, 3, 3, 8]`, make] as const),
]
for (const [message, make] of refusals) {
  test(`refused: ${message}`, () => {
    assert.throws(make, { name: 'UnknownTarget', message })
  })
}

test('norms and biases train those of a network with convolutions, and full trains its weights', async () => {
  const trained = async (method: Method<Opaque>): Promise<readonly string[]> => [
    ...(await gradientsOf(method, 'reference')).gradients.keys(),
  ]
  assert.deepEqual(await trained(norms() as Method<Opaque>), ['norm.weight'])
  assert.deepEqual(await trained(biases() as Method<Opaque>), [
    'stem.bias',
    'norm.bias',
    'spatial.bias',
    'point.bias',
    'grouped.bias',
    'line.bias',
    'head.bias',
  ])
  assert.equal((await trained(full({ targets: ['all'] as readonly string[] }))).length, found(weights).size)
})

test('the types of what PaCA and LoRA train follow the axis of the inputs', () => {
  const mask: Columns<2> = adapt(net, paca({ targets: ['stem'], rank: 2, seed: 0 })).mask.stem.weight
  const { stem } = adapt(net, lora({ targets: ['stem'], rank: 2, seed: 0 })).params
  const A: readonly [3, 3, 3, 2] = stem.weight.lora_A.shape
  const B: readonly [2, 8] = stem.weight.lora_B.shape
  assert.deepEqual([mask.count, A, B], [2, [3, 3, 3, 2], [2, 8]])
})

const block = () => ({ spatial: nn.DepthwiseConv2d(6, { size: 3 }), mix: nn.Conv2d(6, 6, { size: 3 }) })
const deep = model({
  params: { layers: [block(), block(), block(), block()], head: nn.Linear(6, 3) },
  batch: { image: f32('batch', 5, 5, 6), y: i32('batch') },
  forward: (p, { image }) => {
    const h = repeat(p.layers, image, (x, q) =>
      add(x, nn.conv2d(relu(nn.depthwiseConv2d(x, q.spatial, { padding: 1 })), q.mix, { padding: 'same' })),
    )
    return nn.linear(nn.globalAveragePool(h), p.head)
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
})
/** Losses of some steps, and the trained parts after them. */
const trainedOn = async (target: TargetName) => {
  const tuned = adapt(deep, paca({ targets: ['spatial', 'mix'], rank: 2, seed: 0 }))
  await using run = await compile(trainStep(tuned, adamw({ lr: 0.02 })), {
    target,
    threads: 1,
    weights: init.params(deep, { seed: 3 }),
  })
  const losses: number[] = []
  for (let k = 0; k < 4; k++) losses.push((await run.step(valuesFor(deep.batch, dims, 5, 3))).loss)
  return { losses, focus: found((await run.read()).focus) }
}
for (const target of targets.filter(name => name !== 'reference')) {
  test(`on ${target}, equal layers of convolutions are trained as on reference`, { skip: skipOn(target) }, async () => {
    const [expected, own] = [await trainedOn('reference'), await trainedOn(target)]
    assert.ok(expected.losses[3]! < expected.losses[0]!)
    own.losses.forEach((loss, k) => assert.ok(Math.abs(loss - expected.losses[k]!) < 1e-4, `step ${k}: ${loss}`))
    for (const [path, values] of expected.focus) near(path, own.focus.get(path)!, values, 1e-3)
  })
}

interface Golden {
  readonly image: Found
  readonly signal: Found
  readonly y: Found
  readonly z: Found
  readonly loss: number
  readonly modules: Readonly<Record<'stem' | 'wide' | 'point' | 'line', Readonly<Record<string, Found>>>>
}
const peft = JSON.parse(readFileSync(new URL('../golden/conv-lora/values.json', import.meta.url), 'utf8')) as Golden

const adapted = model({
  params: {
    stem: nn.Conv2d(3, 4, { size: 3 }),
    wide: nn.Conv2d(4, 4, { size: 3, bias: false }),
    point: nn.Conv2d(4, 5, { size: 1 }),
    line: nn.Conv1d(3, 4, { size: 3 }),
  },
  batch: { image: f32(2, 7, 6, 3), signal: f32(2, 9, 3) },
  forward: (p, { image, signal }) => {
    const h = relu(nn.conv2d(image, p.stem, { stride: 2, padding: 1 }))
    const d = relu(nn.conv2d(h, p.wide, { padding: 'same' }))
    const line = nn.conv1d(signal, p.line, { padding: 1 })
    return {
      y: nn.globalAveragePool(nn.conv2d(d, p.point)),
      z: nn.globalAveragePool(reshape(line, [2, 1, 9, 4])),
    }
  },
  loss: ({ y, z }) => ({ sum: add(sum(mul(y, reshape(cos(range(10)), [2, 5]))), sum(square(z))), count: scalar(1) }),
})
const asValue = ({ sizes, data }: Found) =>
  ({ shape: sizes, sizes, dtype: 'f32', data: Float32Array.from(data) }) as never
const modules = Object.entries(peft.modules)
const ofModules = (f: (module: Readonly<Record<string, Found>>) => unknown): never =>
  Object.fromEntries(modules.map(([name, module]) => [name, f(module)])) as never

for (const target of targets) {
  test(`LoRA of convolutions has PEFT’s values and gradients on ${target}`, { skip: skipOn(target) }, async () => {
    const tolerance = target === 'reference' ? 1e-5 : 1e-4
    const method = lora({ targets: ['stem', 'wide', 'point', 'line'], rank: 2, alpha: 3, seed: 0 })
    await using run = await compile(trainStep(adapt(adapted, method), sgd({ lr: 0.1 })), {
      target,
      threads: 1,
      weights: ofModules(({ weight, bias }) => ({
        weight: asValue(weight!),
        ...(bias === undefined ? {} : { bias: asValue(bias) }),
      })),
    })
    const factors = ofModules(({ lora_A, lora_B }) => ({
      weight: { lora_A: asValue(lora_A!), lora_B: asValue(lora_B!) },
    }))
    await run.write({ focus: factors })
    const given = { image: asValue(peft.image), signal: asValue(peft.signal) } as never
    const outputs = await run.predict(given)
    near('y', outputs.y, peft.y, tolerance)
    near('z', outputs.z, peft.z, tolerance)
    const gradients = found(await run.gradients(given))
    for (const [name, module] of modules)
      for (const factor of ['A', 'B'])
        near(
          `${name}.lora_${factor}`,
          gradients.get(`${name}.weight.lora_${factor}`)!,
          module[`grad_${factor}`]!,
          tolerance,
        )
  })
}

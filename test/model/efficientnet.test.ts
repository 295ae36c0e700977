import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { adapt, compile, full, sgd, tensor, trainStep, type Shape, type TargetName } from '../../src/index.ts'
import { is, leaves, tensorsOf, topological } from '../../src/compiler.ts'
import { callOp, trainingDropoutOp, type Node } from '../../src/tensor/index.ts'
import { efficientNet, type EfficientNet, type Implementation } from '../../src/model/efficientnet/model.ts'
import { timmNames, torchvisionNames } from '../../src/model/efficientnet/names.ts'
import { efficientNetV2, type Network } from '../../src/model/efficientnet/networks.ts'
import { toStorage, type Layout } from '../../src/model/index.ts'
import { formula, formulaImages, formulaValues } from '../support/formula.ts'
import { farthest, isFloats } from '../support/images.ts'

interface Golden {
  readonly networks: Readonly<Record<string, { readonly logits: readonly number[] }>>
  readonly small: {
    readonly loss: number
    readonly gradients: Readonly<Record<string, readonly [norm: number, along: number]>>
    readonly buffers: Readonly<Record<string, readonly number[]>>
  }
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/efficientnet/values.json', import.meta.url), 'utf8'),
) as Golden

const classNames = (n: number): readonly string[] => Array.from({ length: n }, (_, i) => String(i))
const still = { drop_rate: 0, drop_path_rate: 0, num_channels: 3 }

const usual = { eps: 1e-3, momentum: 0.1 } as const
const torchvision: Implementation = { ...usual, names: torchvisionNames, padding: 'symmetric' }
const timm: Implementation = { ...usual, names: timmNames, padding: 'same' }

/** The layout of a leaf in PyTorch, from its axes. */
const layoutBy = ({ params }: EfficientNet, name: string): Layout => {
  const rank = params[name]?.shape.length
  if (rank === 4) return 'convolution'
  if (rank === 3) return 'depthwise'
  return rank !== 2 ? 'same' : name.startsWith('classifier') ? 'linear' : 'pointwise'
}
/** The tensors of a model by the formula. */
const valuesOf = (model: EfficientNet, classes: number) => {
  const sizeOf = (dim: Shape[number]): number => (dim === 'classes' ? classes : Number(dim))
  const layoutOf = (name: string): Layout => layoutBy(model, name)
  return {
    weights: formulaValues(model.params, layoutOf, sizeOf),
    buffers: formulaValues(model.buffers, layoutOf, sizeOf),
  }
}

const [size, classes] = [40, 8]
/** The logits of a network for the golden images. */
const logitsOf = async (network: Network, implementation: Implementation, target: TargetName) => {
  const model = efficientNet(network, implementation, { ...still, image_size: size, labels: classNames(classes) })
  await using session = await compile(model, { target, ...valuesOf(model, classes) })
  return (await session.predict({ images: formulaImages(2, size) })).logits.data
}
/** The difference from the golden logits, of their largest. */
const offBy = (found: ArrayLike<number>, { logits }: Golden['networks'][string]): number =>
  farthest(found, logits) / Math.max(...logits.map(Math.abs))

for (const [prefix, implementation] of [
  ['efficientnet_v2_', torchvision],
  ['tf_efficientnetv2_', timm],
] as const)
  for (const scale of ['s', 'm', 'l'] as const)
    test(`${prefix}${scale}: the logits are those of Python, on wasm`, async () => {
      const found = await logitsOf(efficientNetV2[scale], implementation, 'wasm')
      assert.ok(offBy(found, golden.networks[`${prefix}${scale}`]!) < 1e-4)
    })

const { s: small } = efficientNetV2
/** A network of all kinds of blocks, as make.py has it. */
const everyBlock: Network = {
  ...small,
  stem: 8,
  features: 24,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expansion: 1, channels: 8, blocks: 2 },
    { kind: 'fused', kernel: 3, stride: 2, expansion: 2, channels: 16, blocks: 2 },
    { kind: 'inverted', kernel: 5, stride: 2, expansion: 2, channels: 24, blocks: 2 },
    { kind: 'inverted', kernel: 3, stride: 1, expansion: 1, channels: 16, blocks: 2 },
  ],
}
/** A session that trains a network of all blocks, and one batch. */
const training = async (target: TargetName, rates = still, implementation = torchvision) => {
  const model = efficientNet(everyBlock, implementation, { ...rates, image_size: 20, labels: classNames(5) })
  const all = tensorsOf(model.params).map(([path]) => path) as readonly string[]
  const step = trainStep(adapt(model, full({ targets: all })), sgd({ lr: 0 }))
  const session = await compile(step, { target, ...valuesOf(model, 5) })
  const labels = tensor([3, 0, 4], ['batch'], { dtype: 'i32' })
  return { model, session, batch: { images: formulaImages(3, 20), labels } }
}

const targets: readonly (readonly [TargetName, number])[] = [
  ['reference', 1e-5],
  ['cpu', 1e-4],
  ['wasm', 1e-4],
]
for (const [target, tolerance] of targets)
  test(`a step in training has the loss, the gradients and the statistics of PyTorch, on ${target}`, async () => {
    const { model, session, batch } = await training(target)
    await using _ = session
    const gradients = leaves(await session.gradients(batch), isFloats)
    assert.equal(gradients.length, Object.keys(golden.small.gradients).length)
    for (const [name, { sizes, data }] of gradients) {
      const [norm, along] = golden.small.gradients[name]!
      const layout = layoutBy(model, name)
      const stored = toStorage(layout, { sizes, data })
      const direction = formula(`direction ${name}`, stored.sizes)
      const found = [Math.hypot(...stored.data), stored.data.reduce((total, x, i) => total + x * direction[i]!, 0)]
      assert.ok(farthest(found, [norm, along]) <= tolerance * (1 + norm), `${name}: ${found} is not ${norm}, ${along}`)
    }
    const { loss } = await session.step(batch)
    assert.ok(Math.abs(loss - golden.small.loss) <= tolerance)
    const statistics = new Map(leaves(await session.buffers(), isFloats))
    assert.deepEqual([...statistics.keys()].sort(), Object.keys(golden.small.buffers).sort())
    for (const [name, { data }] of statistics)
      assert.ok(farthest(data, golden.small.buffers[name]!) <= tolerance * 10, name)
  })

const mutants: readonly (readonly [what: string, implementation: Implementation])[] = [
  ["TensorFlow's padding", { ...torchvision, padding: 'same' }],
  ["PyTorch's own epsilon", { ...torchvision, eps: 1e-5 }],
  ["TensorFlow's momentum", { ...torchvision, momentum: 0.01 }],
]
for (const [what, implementation] of mutants)
  test(`that step refutes ${what} (mutant)`, async () => {
    const { session, batch } = await training('reference', still, implementation)
    await using _ = session
    const { loss } = await session.step(batch)
    const statistics = leaves(await session.buffers(), isFloats)
    const off = statistics.map(([name, { data }]) => farthest(data, golden.small.buffers[name]!))
    assert.ok(Math.max(Math.abs(loss - golden.small.loss), ...off) > 1e-4)
  })

/** The rates at which a training step drops, from the input on; a repeated block counts each time. */
const ratesIn = (roots: readonly Node[]): readonly number[] =>
  topological(roots).flatMap(n =>
    is(n, trainingDropoutOp) ? [n.attributes.rate] : is(n, callOp) ? ratesIn(n.attributes.block.outputs) : [],
  )
/** The rates of a model for the logits. */
const ratesOf = ({ params, batch, buffers, forward }: EfficientNet): readonly number[] =>
  ratesIn([forward(params, batch, buffers).outputs.logits])

test('in training, the blocks of EfficientNetV2 that add are dropped more and more often, and then the features', () => {
  const blocks = [2, 4, 4, 6, 9, 15]
  // the first block of a stage with other channels adds nothing, and the very first block has the rate 0
  const firsts = blocks.map((_, stage) => blocks.slice(0, stage).reduce((a, b) => a + b, 0))
  const rates = Array.from({ length: 40 }, (_, i) => (0.2 * i) / 40).filter((_, i) => !firsts.includes(i))
  const config = { ...still, image_size: 64, labels: classNames(5) }
  const found = ratesOf(efficientNet(small, torchvision, { ...config, drop_rate: 0.4, drop_path_rate: 0.2 }))
  assert.ok(farthest(found, [...rates, 0.4]) < 1e-12, String(found))
  assert.deepEqual(ratesOf(efficientNet(small, torchvision, config)), [])
})

test('what is dropped changes training and not evaluation', async () => {
  const dropping = await training('reference', { ...still, drop_rate: 0.3, drop_path_rate: 0.5 })
  const plain = await training('reference')
  await using _ = dropping.session
  await using __ = plain.session
  const logitsIn = async ({ session, batch }: typeof plain) => (await session.predict(batch)).logits.data
  assert.deepEqual(await logitsIn(dropping), await logitsIn(plain))
  const [one, other] = [await dropping.session.step(dropping.batch), await plain.session.step(plain.batch)]
  assert.notEqual(one.loss, other.loss)
})

import assert from 'node:assert/strict'
import {
  adamw,
  adapt,
  add,
  chain,
  clipByGlobalNorm,
  compile,
  f32,
  full,
  matmul,
  model,
  mul,
  paca,
  repeat,
  square,
  sub,
  sum,
  tanh,
  trainStep,
  type Method,
  type Dims,
  type Lazy,
  type Model,
  type Reparametrisation,
  type Shape,
  type StepResult,
  type TargetName,
  type Value,
  type Values,
} from '../../../src/index.ts'
import { isTensor, isValue, leaves, mapTree, sizing, tensorsOf } from '../../../src/compiler.ts'
import { llama } from '../../../src/model.ts'
import { count, size } from '../../../src/tensor/index.ts'
import { randomFrom } from '../../support/op-subjects.ts'
import { layerIn, masked, type Choice } from '../../support/masks.ts'
import { nodeTest } from '../../support/native-library.ts'
import { apart, distance } from '../../support/distance.ts'

/** Models of many kinds on graph and on reference: layers whose masks are not alike, and models that fix no dims. */

/** Random weights for a tree of parameters, as models are initialised. */
const weightsFor = <P>(params: P, dims: Dims): Lazy<P> => {
  const random = randomFrom(11)
  const sizeOf = sizing(dims)
  const weights = mapTree(params, isTensor, ({ shape, dtype }): Value => {
    const sizes = shape.map(sizeOf)
    return {
      shape,
      sizes,
      dtype: dtype as 'f32',
      data: Float32Array.from(
        { length: count(sizes) },
        () => (shape.length === 1 ? 1 : 0) + (random() - 0.5) * (shape.length === 1 ? 0.2 : 0.4),
      ),
    }
  })
  // the mapped tree has the structure of the parameters
  return weights as Lazy<P>
}

interface Run {
  readonly steps: readonly StepResult[]
  readonly evaluation: number
  readonly predicted: readonly number[]
  readonly saved: unknown
  readonly gradients: unknown
}
/** The numbers of all outputs. */
const predictedIn = (outputs: unknown): readonly number[] =>
  leaves(outputs, isValue).flatMap(([, { data }]) => [...data])
const runOn = async <P, B, O, K extends string, F extends Reparametrisation>(
  target: TargetName,
  of: Model<P, B, O, K>,
  adapter: Method<F>,
  weights: Lazy<P>,
  batches: readonly (readonly Values<B>[])[],
): Promise<Run> => {
  const step = trainStep(adapt(of, adapter), chain(clipByGlobalNorm(1), adamw({ lr: 0.01, weightDecay: 0.01 })))
  // every adapter here keeps the tree as it is
  await using session = await compile(step, { target, weights: weights as never })
  const steps: StepResult[] = []
  const [[first]] = batches as readonly [readonly [Values<B>]]
  for (const micro of batches) steps.push(await session.step(micro))
  return {
    steps,
    evaluation: (await session.evaluate(first)).sum,
    predicted: predictedIn(await session.predict(first)),
    saved: await session.read(),
    gradients: await session.gradients(first),
  }
}
const agree = async (run: (target: TargetName) => Promise<Run>, fraction = 1e-4): Promise<void> => {
  const found = await run('graph')
  const expected = await run('reference')
  found.steps.forEach((step, i) => {
    const other = expected.steps[i]!
    assert.equal(step.tokens, other.tokens)
    for (const key of ['loss', 'gradNorm'] as const)
      assert.ok(
        Math.abs(step[key] - other[key]) <= fraction * Math.abs(other[key]),
        `step ${i}: ${key} ${step[key]}, not ${other[key]}`,
      )
  })
  // the optimizer divides by roots of small numbers: an error of a thousandth there is a thousandth of the rate
  assert.ok(apart(found.saved, expected.saved) < 1e-3)
  assert.ok(Math.abs(found.evaluation - expected.evaluation) <= 10 * fraction * expected.evaluation)
  assert.ok(distance(found.predicted, expected.predicted) < 1e-2)
  assert.ok(apart(found.gradients, expected.gradients) < 1e-2)
  assert.notEqual(found.steps[0]!.loss, found.steps.at(-1)!.loss)
}

const deep = llama({
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  vocab_size: 16,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
})
const tokens = (batch: number, seq: number, seed: number) => {
  const random = randomFrom(seed)
  const data = Int32Array.from({ length: batch * seq }, () => Math.floor(random() * 16))
  return {
    input_ids: { shape: ['batch', 'seq'], sizes: [batch, seq], dtype: 'i32', data },
    labels: { shape: ['batch', 'seq'], sizes: [batch, seq], dtype: 'i32', data },
  } as const
}
const isTarget = (path: string): boolean => /q_proj|down_proj/.test(path)
const masks: Readonly<Record<string, (path: string) => Choice>> = {
  'whole leaves in the first two layers, columns in the others': path =>
    !isTarget(path) ? 'frozen' : layerIn(path) < 2 ? 'all' : { columns: 2 },
  'a layer in the middle with other targets': path =>
    layerIn(path) === 2 ? (path.includes('up_proj') ? 'all' : 'frozen') : isTarget(path) ? { columns: 2 } : 'frozen',
  'kinds that alternate, columns and entries': path =>
    !isTarget(path) ? 'frozen' : layerIn(path) % 2 === 0 ? { columns: 2 } : { entries: 3 },
  'only the last layers, and the tied embedding': path =>
    (isTarget(path) && layerIn(path) > 1) || path.includes('embed') ? 'all' : 'frozen',
  'everything': () => 'all',
}
for (const [name, choice] of Object.entries(masks)) {
  nodeTest(`${name}: graph takes the steps that reference takes`, () =>
    agree(target =>
      runOn(target, deep, masked(choice), weightsFor(deep.params, deep.dims!), [
        [tokens(2, 5, 1)],
        [tokens(1, 4, 2), tokens(3, 3, 3)],
        [tokens(2, 5, 1)],
      ]),
    ),
  )
}

/** Sizes are bound by the weights alone; the loss is a mean over a batch of any size. */
const perceptron = model({
  params: {
    first: f32('in', 'hidden'),
    layers: Array.from({ length: 3 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden') })),
    last: f32('hidden', 'out'),
    bias: f32('out'),
  },
  batch: { x: f32('batch', 'in'), y: f32('batch', 'out') },
  forward: ({ first, layers, last, bias }, { x }) =>
    add(
      matmul(
        repeat(layers, tanh(matmul(x, first)), (h, { up, down }) => add(h, matmul(tanh(matmul(h, up)), down))),
        last,
      ),
      bias,
    ),
  loss: (logits, { y }) => ({ sum: sum(square(sub(logits, y))), count: mul(size('batch'), 1) }),
})
const points = (batch: number, seed: number) => {
  const random = randomFrom(seed)
  const of = <const S extends Shape>(shape: S, width: number): Value<S> => ({
    shape,
    sizes: [batch, width],
    dtype: 'f32',
    data: Float32Array.from({ length: batch * width }, () => random() - 0.5),
  })
  return { x: of(['batch', 'in'], 3), y: of(['batch', 'out'], 2) }
}
const adapters = [
  full({ targets: ['all'] }),
  paca({ targets: ['first', 'up', 'down'], rank: 2, seed: 0 }),
  masked(path => (path === 'bias' ? { entries: 1 } : path.includes('down') ? { columns: 2 } : 'frozen')),
] as const
adapters.forEach((adapter, i) => {
  nodeTest(
    `a model that fixes no dims, ${['full', 'paca', 'masked'][i]}: sizes are those of the weights, on graph as on reference`,
    () =>
      agree(target =>
        runOn(
          target,
          perceptron,
          adapter as Method<Reparametrisation>,
          weightsFor(perceptron.params, { in: 3, hidden: 5, ffn: 6, out: 2 }),
          [[points(4, 1)], [points(2, 2), points(5, 3)], [points(4, 1)]],
        ),
      ),
  )
})

/** Layers whose weights have different heights, of which equally many rows with equal indices are trained. */
const funnel = model({
  params: {
    layers: [f32('in', 'hidden'), f32('hidden', 'hidden'), f32('hidden', 'hidden'), f32('hidden', 'hidden')] as const,
    last: f32('hidden', 'out'),
  },
  batch: { x: f32('batch', 'in'), y: f32('batch', 'out') },
  forward: ({ layers: [first, ...rest], last }, { x }) =>
    matmul(
      rest.reduce((h, w) => tanh(matmul(h, w)), tanh(matmul(x, first))),
      last,
    ),
  loss: (logits, { y }) => ({ sum: sum(square(sub(logits, y))), count: mul(size('batch'), 1) }),
})
nodeTest(
  'trained rows of equal sizes belong to the layers of their leaves, whose sizes differ: graph is reference',
  () =>
    agree(target =>
      runOn(
        target,
        funnel,
        paca({
          targets: tensorsOf(funnel.params).map(([path]) => path),
          rank: 2,
          seed: 0,
        }) as Method<Reparametrisation>,
        weightsFor(funnel.params, { in: 3, hidden: 5, out: 2 }),
        [[points(4, 1)], [points(4, 2)], [points(4, 1)]],
      ),
    ),
)

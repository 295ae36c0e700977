import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  add,
  compile,
  dropout,
  f32,
  full,
  lora,
  matmul,
  model,
  mul,
  repeat,
  scalar,
  scan,
  sgd,
  square,
  sum,
  trainStep,
  type TargetName,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import { isValue, leaves, programsOf } from '../../src/compiler.ts'
import { blockOf, topological } from '../../src/tensor/index.ts'
import { drawsAtRandom, trainingStreams } from '../../src/compile/training-dropout.ts'
import { referenceDevice } from '../../src/backend/index.ts'
import { noNode } from '../support/native-library.ts'
import { wholeOf, wholeTraits } from '../support/whole-programs.ts'

/** Dropout without a key: the session draws for it. */

const n = 64
const rate = 0.5
type Row = Tensor<readonly ['hidden']>
/** The gradient of each parameter is what it is multiplied by: 0 where it is dropped, otherwise 1 / (1 − rate). */
const drawing = (layers: number) =>
  model({
    params: {
      a: f32('hidden'),
      b: f32('hidden'),
      layers: Array.from({ length: layers }, () => ({ c: f32('hidden'), d: f32('hidden') })),
    },
    batch: { x: f32('hidden') },
    forward: (p, { x }): Row =>
      repeat(p.layers, add(x, add(dropout(p.a, rate), dropout(p.b, rate))), (h: Row, { c, d }) =>
        add(h, add(dropout(c, rate), dropout(d, rate))),
      ),
    loss: y => ({ sum: sum(y), count: scalar(1) }),
  })
const row = (fill: number): Value<readonly ['hidden']> => ({
  shape: ['hidden'],
  sizes: [n],
  dtype: 'f32',
  data: new Float32Array(n).fill(fill),
})
const weightsFor = (layers: number) => ({
  a: row(1),
  b: row(2),
  layers: Array.from({ length: layers }, (_, i) => ({ c: row(3 + i), d: row(0.5) })),
})
const batch = { x: row(0) }
const isFloats = (leaf: unknown): leaf is Value => isValue(leaf) && leaf.dtype === 'f32'

const opened = (layers: number, target: TargetName, seed?: number) =>
  compile(
    trainStep(adapt(drawing(layers), full({ targets: ['all'] })), sgd({ lr: 0 }), seed === undefined ? {} : { seed }),
    { target, threads: 1, weights: weightsFor(layers) },
  )
const masksOf = (gradients: unknown): readonly string[] =>
  leaves(gradients, isFloats).map(([, { data }]) => [...data].join(''))
const masks = async (layers: number, target: TargetName, seed?: number): Promise<readonly string[]> => {
  await using run = await opened(layers, target, seed)
  return masksOf(await run.gradients(batch))
}

test('every call drops elements of its own, in every layer, at the rate; what is kept is scaled', async () => {
  const found = await masks(3, 'reference')
  assert.equal(found.length, 8)
  assert.equal(new Set(found).size, 8)
  assert.ok(found.every(mask => /^[02]+$/.test(mask) && mask.length === n))
  const dropped = found.join('').replaceAll('2', '').length / (8 * n)
  assert.ok(Math.abs(dropped - rate) < 4 * Math.sqrt((rate * (1 - rate)) / (8 * n)), `${dropped}`)
})
test('what is dropped follows from the seed', async () => {
  assert.deepEqual(await masks(2, 'reference'), await masks(2, 'reference', 0))
  assert.deepEqual(await masks(2, 'reference', 7), await masks(2, 'reference', 7))
  const other = new Set(await masks(2, 'reference', 8))
  assert.ok((await masks(2, 'reference', 7)).every(mask => !other.has(mask)))
})
for (const target of ['cpu', 'wasm', 'graph'] as const)
  test(
    `the same elements are dropped on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      assert.deepEqual(await masks(3, target, 5), await masks(3, 'reference', 5))
    },
  )
test('every step and every micro-batch draws again; nothing else does, and nothing but training drops', async () => {
  await using run = await opened(2, 'reference', 3)
  const whole = n * (1 + 2 + (3 + 0.5) + (4 + 0.5))
  const first = masksOf(await run.gradients(batch))
  assert.deepEqual(masksOf(await run.gradients(batch)), first)
  assert.equal((await run.evaluate(batch)).loss, whole)
  assert.deepEqual([...(await run.predict(batch)).data], Array<number>(n).fill(whole / n))
  assert.deepEqual(
    [...(await run.compute((p, b) => add(dropout(p.a, 0.9), b.x), batch)).data],
    Array<number>(n).fill(1),
  )
  const { loss } = await run.step([batch])
  assert.notEqual(loss, whole)
  const second = masksOf(await run.gradients(batch))
  assert.ok(second.every((mask, i) => mask !== first[i]))
  await run.step([batch, batch])
  const fourth = masksOf(await run.gradients(batch))
  assert.ok(fourth.every((mask, i) => mask !== second[i] && mask !== first[i]))
  assert.equal((await run.evaluate(batch)).loss, whole)
})
test('a rate of 0 drops nothing, and a rate that is none is refused', () => {
  assert.throws(
    () => dropout(f32('n'), 1),
    /^ShapeMismatch: trainingDropout: the rate is at least 0 and below 1, not 1$/,
  )
})

test('a graph goes through layers with dropout in one loop: a program has as many nodes for 8 layers as for 3', () => {
  const nodes = (layers: number): number => {
    const step = trainStep(adapt(drawing(layers), full({ targets: ['all'] })), sgd({ lr: 0 }))
    const { sum: loss, gradients: made } = wholeOf(programsOf(step, wholeTraits)).gradients()
    return topological([loss, ...made.map(([, node]) => node)]).length
  }
  assert.equal(nodes(8), nodes(3))
})
test('layers with dropout share one block, and their streams are one family', () => {
  const step = trainStep(adapt(drawing(4), full({ targets: ['all'] })), sgd({ lr: 0 }))
  const programs = programsOf(step, referenceDevice().traits)
  const blocks = (outputs: ReturnType<typeof topological>): number =>
    new Set(topological(outputs).flatMap(node => blockOf(node) ?? [])).size
  assert.equal(blocks(programs.declaredLoss), 1)
  assert.equal(blocks(programs.gradients(() => n).outputs), 2)
  assert.deepEqual(
    trainingStreams(programs.declaredLoss).map(([path]) => path),
    [...[0, 1, 2, 3].flatMap(layer => [`dropout.${layer}.0_3`, `dropout.${layer}.0_5`]), 'dropout_0', 'dropout_1'],
  )
})

test('a Hessian-vector product is of the function that the next step differentiates', async () => {
  const curved = model({
    params: { w: f32('hidden') },
    batch: { x: f32('hidden') },
    forward: (p, { x }) => square(mul(dropout(p.w, rate), add(x, p.w))),
    loss: y => ({ sum: sum(y), count: scalar(1) }),
  })
  const step = trainStep(adapt(curved, full({ targets: ['all'] })), sgd({ lr: 0 }), { seed: 4 })
  await using run = await compile(step, { target: 'reference', weights: { w: row(0.5) } })
  const one = { x: row(0.25) }
  const gradientAt = async (w: number): Promise<Float32Array> => {
    await run.write({ focus: { w: row(w) }, state: (await run.read()).state })
    return (await run.gradients(one)).w.data
  }
  const eps = 2 ** -6
  const [up, down] = [await gradientAt(0.5 + eps), await gradientAt(0.5 - eps)]
  await gradientAt(0.5)
  const product = (await run.hvp(one, { w: row(1) })).w.data
  assert.ok(product.some(x => x !== 0) && product.some(x => x === 0))
  product.forEach((x, i) => {
    const slope = (up[i]! - down[i]!) / (2 * eps)
    assert.ok(Math.abs(x - slope) < 2e-2 * (1 + Math.abs(slope)), `${x} is not ${slope}`)
  })
})

test('a model that drops draws at random, so its curvature is not bounded', () => {
  assert.equal(drawsAtRandom(adapt(drawing(2), full({ targets: ['all'] }))), 'the model')
  const plain = model({
    params: { w: f32('hidden') },
    batch: { x: f32('hidden') },
    forward: (p, { x }) => mul(p.w, x),
    loss: y => square(y),
  })
  assert.equal(drawsAtRandom(adapt(plain, full({ targets: ['all'] }))), undefined)
})

test('a scan over time drops the same elements in every step', async () => {
  const walking = model({
    params: { w: f32('time', 'hidden') },
    batch: { x: f32('hidden') },
    forward: (p, { x }): Row => scan(p.w, x, (h: Row, w: Row) => [add(h, dropout(w, rate)), {}])[0],
    loss: y => ({ sum: sum(y), count: scalar(1) }),
  })
  const step = trainStep(walking, sgd({ lr: 0 }))
  const w: Value<readonly ['time', 'hidden']> = {
    shape: ['time', 'hidden'],
    sizes: [3, n],
    dtype: 'f32',
    data: new Float32Array(3 * n).fill(1),
  }
  await using run = await compile(step, { target: 'wasm', threads: 1, weights: { w } })
  const drawn = [...(await run.gradients(batch)).w.data].join('')
  assert.equal(drawn, drawn.slice(0, n).repeat(3))
  assert.match(drawn, /^(?=.*0)(?=.*2)[02]+$/)
  assert.equal((await run.evaluate(batch)).loss, 3 * n)
})

test('it works beside the dropout of a method, each with its own key', async () => {
  const both = model({
    params: { w: f32('n', 'n') },
    batch: { x: f32('n', 'n') },
    forward: (p, { x }) => dropout(matmul(x, p.w), 0.25),
    loss: y => ({ sum: sum(square(y)), count: scalar(1) }),
  })
  const square_ = (fill: number): Value<readonly ['n', 'n']> => ({
    shape: ['n', 'n'],
    sizes: [8, 8],
    dtype: 'f32',
    data: Float32Array.from({ length: 64 }, (_, i) => fill * ((i % 7) - 3)),
  })
  const losses = async (dropped: number): Promise<readonly number[]> => {
    const step = trainStep(
      adapt(both, lora({ targets: ['w'], rank: 2, seed: 1, dropout: dropped })),
      sgd({ lr: 1e-4 }),
      { seed: 2 },
    )
    await using run = await compile(step, { target: 'reference', weights: { w: square_(0.1) } })
    const found: number[] = []
    for (let k = 0; k < 3; k++) found.push((await run.step([{ x: square_(1) }])).loss)
    return found
  }
  const [alone, together] = [await losses(0), await losses(0.5)]
  // B is 0 at first, so the first loss depends on what the model drops alone
  assert.equal(alone[0], together[0])
  assert.notEqual(alone[2], together[2])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  add,
  compile,
  exp,
  f32,
  full,
  i32,
  log,
  matmul,
  max,
  mean,
  model,
  mul,
  neg,
  rsqrt,
  sgd,
  size,
  slice,
  square,
  sub,
  sum,
  take,
  trainStep,
  uniform,
  type Dim,
  type DType,
  type Node,
  type Shape,
  type TargetName,
  type Tensor,
} from '../../src/index.ts'
import { interpret, type Numbers } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'

// Layers generic in their dims, without a cast, and their results on every target.

const linear = <L extends Shape, I extends Dim, O extends Dim>(
  x: Tensor<readonly [...L, I]>,
  w: Tensor<readonly [NoInfer<I>, O]>,
  b: Tensor<readonly [NoInfer<O>]>,
): Tensor<readonly [...L, O]> => add(matmul(x, w), b)
const layerNorm = <L extends Shape, H extends Dim>(
  x: Tensor<readonly [...L, H]>,
  gain: Tensor<readonly [NoInfer<H>]>,
  bias: Tensor<readonly [NoInfer<H>]>,
): Tensor<readonly [...L, H]> => {
  const centred = sub(x, mean(x, -1, true))
  const variance = mean(square(centred), -1, true)
  return add(mul(mul(centred, rsqrt(add(variance, 1e-5))), gain), bias)
}
const logSoftmax = <L extends Shape, C extends Dim>(x: Tensor<readonly [...L, C]>): Tensor<readonly [...L, C]> => {
  const shifted = sub(x, max(x, -1, true))
  return sub(shifted, log(sum(exp(shifted), -1, true)))
}
const embed = <V extends Dim, H extends Dim, I extends Shape>(
  table: Tensor<readonly [V, H]>,
  ids: Tensor<I, 'i32'>,
): Tensor<readonly [...I, H]> => take(table, ids, 0)

const valueOf = <const S extends Shape, D extends DType>(
  shape: S,
  dtype: D,
  sizes: readonly number[],
  data: D extends 'i32' ? Int32Array : Float32Array,
) => ({ shape, sizes, dtype, data })
const random = <const S extends Shape>(shape: S, sizes: readonly number[], stream: number) =>
  valueOf(
    shape,
    'f32',
    sizes,
    uniform(
      0,
      stream,
      sizes.reduce((n, size) => n * size, 1),
    ),
  )

const network = model({
  params: {
    table: f32('vocab', 'hidden'),
    rows: f32('few', 'vocab', 'hidden'),
    gain: f32('hidden'),
    bias: f32('hidden'),
    w: f32('hidden', 'classes'),
    b: f32('classes'),
  },
  batch: { ids: i32('batch', 'seq'), places: i32('batch', 'seq'), one: i32() },
  dims: { few: 3 },
  // an index of rank 2 along the first axis, one along the second, and a scalar
  forward: (p, { ids, places, one }) => {
    const x = add(embed(p.table, ids), take(sum(take(p.rows, places, 1), 0), one, 0))
    return logSoftmax(linear(layerNorm(x, p.gain, p.bias), p.w, p.b))
  },
  loss: logits => ({ sum: neg(sum(slice(logits, -1, { as: 1 }))), count: size('batch', 'seq') }),
})
const weights = {
  table: random(['vocab', 'hidden'], [7, 6], 1),
  rows: random(['few', 'vocab', 'hidden'], [3, 7, 6], 2),
  gain: random(['hidden'], [6], 3),
  bias: random(['hidden'], [6], 4),
  w: random(['hidden', 'classes'], [6, 4], 5),
  b: random(['classes'], [4], 6),
}
const batch = {
  ids: valueOf(['batch', 'seq'], 'i32', [2, 3], Int32Array.of(0, 6, 1, 1, 2, 5)),
  places: valueOf(['batch', 'seq'], 'i32', [2, 3], Int32Array.of(3, 3, 4, 0, 6, 1)),
  one: valueOf([], 'i32', [], Int32Array.of(1)),
}
const train = async (target: TargetName, threads: number) => {
  const step = trainStep(
    adapt(network, full({ targets: ['table', 'rows', 'gain', 'bias', 'w', 'b'] })),
    sgd({ lr: 0.05 }),
  )
  await using run = await compile(step, { target, threads, weights })
  const losses: number[] = []
  const gradients = await run.gradients(batch)
  for (let k = 0; k < 3; k++) losses.push((await run.step([batch])).loss)
  return {
    losses,
    rows: [...gradients.rows.data],
    table: [...gradients.table.data],
    logits: [...(await run.predict(batch)).data],
  }
}

const expected = await train('reference', 1)
for (const [target, threads] of [
  ['cpu', 1],
  ['node', 1],
  ['wasm', 1],
  ['wasm', 2],
  ['graph', 1],
] as const) {
  const skip = (target === 'node' || target === 'graph') && noNode !== undefined ? noNode : false
  test(
    `layers generic in their dims, and takes by indices of any rank, are on ${target} with ${threads} thread(s) what they are on reference`,
    { skip },
    async () => {
      const found = await train(target, threads)
      for (const key of ['losses', 'rows', 'table', 'logits'] as const) {
        assert.equal(found[key].length, expected[key].length)
        found[key].forEach((v, i) =>
          assert.ok(Math.abs(v - expected[key][i]!) < 1e-4, `${key}[${i}] is ${v}, not ${expected[key][i]}`),
        )
      }
    },
  )
}
test('the loss falls, and only rows that were taken have a gradient', () => {
  assert.ok(
    expected.losses.every((loss, i) => i === 0 || loss < expected.losses[i - 1]!),
    expected.losses.join(),
  )
  const touched = (rows: readonly number[]): readonly number[] =>
    [...new Set(rows.flatMap((v, i) => (v === 0 ? [] : [Math.floor(i / 6) % 7])))].sort()
  assert.deepEqual(touched(expected.table), [0, 1, 2, 5, 6])
  // the scalar index leaves the second row of places
  assert.deepEqual(touched(expected.rows), [0, 1, 6])
})

test('a take by an index of any rank is the take of each of its elements', () => {
  const x = f32(2, 3, 4)
  const data = Float64Array.from({ length: 24 }, (_, i) => i)
  const takenAt = (index: Node & { readonly shape: Shape }, at: readonly number[], axis: number): readonly number[] => {
    const feeds = new Map<Node, Numbers>([
      [x, { sizes: [2, 3, 4], data }],
      [index, { sizes: index.shape.map(Number), data: Float64Array.from(at) }],
    ])
    // the axis is a number that only the test knows
    const root = (take as unknown as (x: Node, index: Node, axis: number) => Node)(x, index, axis)
    assert.deepEqual(root.shape, [2, 3, 4].toSpliced(axis, 1, ...index.shape.map(Number)))
    return [...interpret([root], feeds, Number)[0]!.data]
  }
  for (const [axis, size] of [2, 3, 4].entries()) {
    for (const sizes of [[], [1], [2], [2, 2], [1, 3, 2]]) {
      const at = Array.from({ length: sizes.reduce((n, s) => n * s, 1) }, (_, i) => (5 * i + 1) % size)
      const inner = [12, 4, 1][axis]!
      const expectedData = Array.from({ length: 24 / (size * inner) }, (_, outer) =>
        at.flatMap(i => Array.from({ length: inner }, (_u, j) => (outer * size + i) * inner + j)),
      ).flat()
      assert.deepEqual(takenAt(i32(...sizes), at, axis), expectedData)
    }
  }
})

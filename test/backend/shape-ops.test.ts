import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  causalMask,
  dynamicSlice,
  dynamicUpdate,
  expandDims,
  fill,
  flip,
  integer,
  linalg,
  onesLike,
  pad,
  repeatAlong,
  roll,
  split,
  squeeze,
  stack,
  stride,
  tile,
  tril,
  triu,
  zerosLike,
  type DType,
  type Node,
  type Tensor,
} from '../../src/index.ts'
import { interpret, placeholder, type Numbers } from '../../src/compiler.ts'
import { differentiate } from '../support/calculus.ts'
import { devices } from '../support/devices.ts'
import { resultsOf } from '../support/graph-results.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { sizeIn, type Instance } from '../support/op-subjects.ts'
import { runOn } from '../support/run-on.ts'
import { cosines, goldenShapeOps } from '../support/shape-ops.ts'

const sizes = { n: 4, m: 2, both: 6, wide: 9 }
const instanceOf = (root: Node, feeds: ReadonlyMap<Node, Numbers>): Instance => ({
  root,
  leaves: [...feeds.keys()],
  differentiable: [],
  feeds,
  sizes,
  size: sizeIn(sizes),
})

/** Every golden value and gradient, as an expression with data, and what it is. */
const golden = goldenShapeOps().flatMap(({ name, leaves, root, inputs, result, gradients }) => {
  const given = leaves.map((leaf, i) => [leaf, inputs[i]!] as const)
  const dy = placeholder(root.shape, 'f32')
  const fed = new Map([...given, [dy, cosines(result.sizes, result.data.length)] as const])
  return [
    { name, instance: instanceOf(root, new Map(given)), expected: result },
    ...differentiate(root, dy, leaves).map((gradient, i) => ({
      name: `the gradient ${i} of ${name}`,
      instance: instanceOf(gradient, fed),
      expected: gradients[i]!,
    })),
  ]
})

type Matrix<D extends DType> = Tensor<readonly ['n', 'm'], D>
/** Ops that move numbers, for any dtype. */
const movements = <D extends DType>(
  x: Matrix<D>,
  y: Matrix<D>,
  square: Tensor<readonly ['n', 'n'], D>,
): readonly Node[] => [
  expandDims(x, 1),
  squeeze(expandDims(x, 0), 0),
  stack([x, y], 1),
  ...split(x, [1, 3], 0),
  flip(x, 0),
  flip(x, -1),
  roll(x, 1, 0),
  roll(x, -3, 1),
  tile(x, 0, 2),
  repeatAlong(x, 1, 'm'),
  pad(x, 0, { as: 'wide', start: ['m'] }),
  pad(x, 0, { as: 'wide', start: ['m'], value: 1 }),
  pad(x, 1, { as: 'both', start: [1], mode: 'reflect' }),
  pad(x, 0, { as: 'wide', start: [2], mode: 'edge' }),
  pad(x, 0, { as: 'wide', start: [2], mode: 'wrap' }),
  stride(x, 0, { as: 2, step: 2, start: [1] }),
  tril(x),
  triu(x, -1),
  linalg.diagonal(square),
  linalg.diag(x),
  dynamicSlice(x, [integer(9), 0], ['m', 'm']),
  dynamicUpdate(square, x, [0, integer(1)]),
  zerosLike(x),
  onesLike(x),
]
const matrices = (dtype: DType): readonly Node[] => [
  placeholder(['n', 'm'], dtype),
  placeholder(['n', 'm'], dtype),
  placeholder(['n', 'n'], dtype),
]
/** Numbers that conversions and comparisons would change. */
const odd = {
  f32: [1.5, Number.NaN, -0, Infinity, -Infinity, 0, 1e-30, 16777217],
  i32: [2 ** 31 - 1, -(2 ** 31), 0, -1, 16777217, 3, -3, 255],
  bool: [1, 0, 0, 1, 1, 1, 0, 1],
} as const
const movementsOf = (dtype: 'f32' | 'i32' | 'bool'): readonly Instance[] => {
  const leaves = matrices(dtype)
  const feeds = new Map(
    leaves.map((leaf, k) => {
      const of = leaf.shape.map(sizeIn(sizes))
      const data = Float64Array.from({ length: of[0]! * of[1]! }, (_, i) => Math.fround(odd[dtype][(i + k) % 8]!))
      return [leaf, { sizes: of, data: dtype === 'i32' ? data.map((_, i) => odd.i32[(i + k) % 8]!) : data }] as const
    }),
  )
  // the dtypes of the leaves are those that the types say
  const [x, y, square] = leaves as unknown as readonly [Matrix<'f32'>, Matrix<'f32'>, Tensor<readonly ['n', 'n']>]
  return movements(x, y, square).map(root => instanceOf(root, feeds))
}
const filled: readonly Instance[] = [causalMask('n', 'm'), fill(['m', 3], 7, 'i32'), fill(['m'], 1, 'bool')].map(root =>
  instanceOf(root, new Map()),
)
const exact: readonly Instance[] = [...(['f32', 'i32', 'bool'] as const).flatMap(movementsOf), ...filled]

const isNear = (found: number, expected: number): boolean =>
  Math.abs(found - expected) <= 1e-4 * Math.max(1, Math.abs(expected))
const meaning = ({ root, feeds, size }: Instance): Numbers => interpret([root], feeds, size)[0]!
const isSame = (found: number, expected: number): boolean =>
  // a bool is a byte on some devices; zeros of either sign are equal
  found === expected || (Number.isNaN(found) && Number.isNaN(expected))

for (const [title, open] of devices) {
  const skip = title === 'tfjs node' && noNode !== undefined ? noNode : false
  test(`ops on axes and matrices have PyTorch's values and gradients on ${title}`, { skip }, async () => {
    const device = await open()
    for (const { name, instance, expected } of golden) {
      const found = await runOn(device, instance)
      assert.equal(found.length, expected.data.length)
      expected.data.forEach((v, i) => assert.ok(isNear(found[i]!, v), `${name}: ${found[i]} is not ${v}`))
    }
    await device.dispose()
  })
  test(`movements change no number of any dtype on ${title}`, { skip }, async () => {
    const device = await open()
    for (const instance of exact) {
      const found = await runOn(device, instance)
      const { data } = meaning(instance)
      const what = `${instance.root.op.name} of ${instance.root.dtype}`
      assert.equal(found.length, data.length, what)
      data.forEach((v, i) => assert.ok(isSame(found[i]!, v), `${what}: ${found[i]} is not ${v}`))
    }
    await device.dispose()
  })
}

for (const when of ['static', 'fed'] as const) {
  nodeTest(`ops on axes and matrices have PyTorch's values and gradients in a graph with ${when} sizes`, async () => {
    const results = await resultsOf(
      golden.map(({ instance }) => instance),
      { sizes: when },
    )
    golden.forEach(({ name, expected }, k) => {
      assert.deepEqual(results[k]!.sizes, expected.sizes, name)
      expected.data.forEach((v, i) =>
        assert.ok(isNear(results[k]!.data[i]!, v), `${name}: ${results[k]!.data[i]} is not ${v}`),
      )
    })
  })
}
// a graph of this test gives its results as floats, which hold no integer beyond 2^24
const small = ({ feeds, root }: Instance): boolean => root.dtype !== 'i32' || feeds.size === 0
nodeTest('movements change no number in a graph', async () => {
  const instances = exact.filter(small)
  const results = await resultsOf(instances, { sizes: 'fed' })
  instances.forEach((instance, k) => {
    const what = `${instance.root.op.name} of ${instance.root.dtype}`
    meaning(instance).data.forEach((v, i) =>
      assert.ok(isSame(results[k]!.data[i]!, v), `${what}: ${results[k]!.data[i]} is not ${v}`),
    )
  })
})

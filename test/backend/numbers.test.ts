import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  composites,
  f32,
  i32,
  interpret,
  node,
  placeholder,
  primitives,
  type DType,
  type Node,
  type Numbers,
  type Op,
} from '../../src/tensor/index.ts'
import type { Instance } from '../support/op-subjects.ts'
import { native, resultsOf } from '../support/graph-results.ts'
import { hasXla } from '../../src/backend/graph/index.ts'
import { devices } from '../support/devices.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { runOn } from '../support/run-on.ts'

/** Integers, truth values, and the reals that are no ordinary numbers: one meaning on every target. */

const reals = [
  Number.NaN,
  Infinity,
  -Infinity,
  -0,
  0,
  1,
  -1,
  0.5,
  -2.5,
  3e38,
  -3e38,
  88,
  -104,
  2 ** 31,
  -(2 ** 31) - 256,
  16777217,
].map(Math.fround)
const integers = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  7,
  -7,
  31,
  33,
  65535,
  65536,
  46341,
  2 ** 31 - 1,
  -(2 ** 31),
  1 - 2 ** 31,
  1_000_000_007,
]
const special: Readonly<Record<string, readonly number[]>> = { f32: reals, i32: integers, bool: [0, 1] }

type Case = Pick<Instance, 'root' | 'leaves' | 'feeds' | 'size'> & { readonly name: string }
interface Given {
  readonly dtype: DType
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
const caseOf = (name: string, given: readonly Given[], build: (inputs: readonly Node[]) => Node): Case => {
  const leaves = given.map(({ sizes, dtype }) => placeholder(sizes, dtype))
  return {
    name,
    root: build(leaves),
    leaves,
    size: Number,
    feeds: new Map(
      leaves.map((leaf, i): readonly [Node, Numbers] => [
        leaf,
        { sizes: given[i]!.sizes, data: Float64Array.from(given[i]!.data) },
      ]),
    ),
  }
}
const column = (dtype: DType): Given => {
  const data = special[dtype]!
  return { dtype, sizes: [data.length, 1], data }
}
const row = (dtype: DType): Given => {
  const data = special[dtype]!
  return { dtype, sizes: [data.length], data }
}
/** Every pair of special values side by side, as [n², 2]. */
const pairs = (dtype: DType, of = special[dtype]!): Given => {
  const data = of.flatMap(a => of.flatMap(b => [a, b]))
  return { dtype, sizes: [data.length / 2, 2], data }
}
const index = (...data: readonly number[]): Given => ({ dtype: 'i32', sizes: [data.length], data })
/** Rows whose squares and sums are in the range of float32. */
const rows = pairs(
  'f32',
  reals.filter(v => !(Math.abs(v) > 1000 && Number.isFinite(v))),
)
const apply =
  <A>(op: Op<A>, attributes: A) =>
  (inputs: readonly Node[]): Node =>
    node(op, inputs, attributes)
const p = primitives
const none = {}
const all: readonly DType[] = ['f32', 'i32', 'bool']
const numeric: readonly DType[] = ['f32', 'i32']

/** Rows as long as several lanes, with a value somewhere in each. */
const long = (...values: readonly number[]): Given => {
  const n = 37
  const places = [0, 3, 15, 16, 31, 32, 36]
  const data = values.flatMap(value =>
    places.flatMap(place => Array.from({ length: n }, (_, i) => (i === place ? value : (i % 7) - 3))),
  )
  return { dtype: 'f32', sizes: [values.length * places.length, n], data }
}
const odd = long(Number.NaN, Infinity, -Infinity, 50)
const labels: Given = {
  dtype: 'i32',
  sizes: [odd.sizes[0]!],
  data: Array.from({ length: odd.sizes[0]! }, (_, i) => (5 * i) % 37),
}
const directions = [false, true].flatMap(exclusive => [false, true].map(reverse => ({ exclusive, reverse })))
const ones = (like: Given): Given => ({ ...like, data: like.data.map(() => 1) })

const cases: readonly Case[] = [
  ...[p.sum, p.max, p.min, p.prod].flatMap(op =>
    [[0], [1]].map(axes =>
      caseOf(`${op.name} of long rows over ${axes.join()}`, [odd], apply(op, { axes, keepDims: true })),
    ),
  ),
  ...[p.cumsum, p.cumprod].flatMap(op =>
    directions.map(of => caseOf(`${op.name} of long rows`, [odd], apply(op, { axis: 1, ...of }))),
  ),
  ...[false, true].map(descending =>
    caseOf('argsort of long rows', [odd], apply(p.argsort, { axis: 1, descending, dim: descending ? 5 : 37 })),
  ),
  ...[composites.argmax, composites.argmin].flatMap(op =>
    [0, 1].map(axis => caseOf(`${op.name} of long rows`, [odd], apply(op, { axis, keepDims: axis === 0 }))),
  ),
  caseOf('logSumExp of long rows', [odd], apply(composites.logSumExp, { axes: [1] })),
  caseOf('logSumExp of pairs', [rows], apply(composites.logSumExp, { axes: [1] })),
  caseOf('softmax of long rows', [odd], apply(composites.softmax, none)),
  caseOf('logSoftmax of long rows', [odd], apply(composites.logSoftmax, none)),
  caseOf('softmaxGrad of long rows', [odd, ones(odd)], apply(composites.softmaxGrad, none)),
  caseOf(
    'causalSoftmax of long rows',
    [odd, { dtype: 'i32', sizes: [], data: [9] }],
    apply(composites.causalSoftmax, none),
  ),
  caseOf('crossEntropy of long rows', [odd, labels], apply(composites.crossEntropy, none)),
  caseOf(
    'crossEntropyGrad of long rows',
    [odd, labels, ones(labels)].map(of => ({ ...of, dtype: of === odd || of !== labels ? 'f32' : 'i32' }) as Given),
    apply(composites.crossEntropyGrad, none),
  ),
  caseOf(
    'rmsNorm of long rows',
    [odd, { dtype: 'f32', sizes: [37], data: Array.from({ length: 37 }, (_, i) => i / 37) }],
    apply(composites.rmsNorm, { epsilon: 1e-5 }),
  ),
  caseOf(
    'rmsNormGrad of long rows',
    [ones(odd), odd, { dtype: 'f32', sizes: [37], data: Array.from({ length: 37 }, () => 1) }],
    apply(composites.rmsNormGrad, { epsilon: 1e-5 }),
  ),
  caseOf('sumOfSquares of long rows', [odd], apply(composites.sumOfSquares, { axes: [1], keepDims: false })),
  caseOf(
    'contract of long rows',
    [odd, { dtype: 'f32', sizes: [37, 5], data: Array.from({ length: 185 }, (_, i) => (i % 3) - 1) }],
    apply(p.contract, { a: 'mk', b: 'kn', out: 'mn' }),
  ),
  ...numeric.flatMap(dtype =>
    [
      p.add,
      p.sub,
      p.mul,
      p.div,
      p.pow,
      p.remainder,
      p.maximum,
      p.minimum,
      p.less,
      p.lessEqual,
      p.greater,
      p.greaterEqual,
    ].flatMap(op => [
      caseOf(`${op.name} ${dtype}, repeated`, [column(dtype), row(dtype)], apply(op, none)),
      // with a scalar, and without repetition, other kernels may run
      ...special[dtype]!.slice(0, 4).map(value =>
        caseOf(`${op.name} ${dtype}, scalar`, [row(dtype), { dtype, sizes: [], data: [value] }], apply(op, none)),
      ),
      caseOf(
        `${op.name} ${dtype}, alike`,
        [row(dtype), { ...row(dtype), data: special[dtype]!.toReversed() }],
        apply(op, none),
      ),
    ]),
  ),
  ...all.flatMap(dtype =>
    [p.equal, p.notEqual].map(op => caseOf(`${op.name} ${dtype}`, [column(dtype), row(dtype)], apply(op, none))),
  ),
  ...[p.and, p.or].map(op => caseOf(op.name, [column('bool'), row('bool')], apply(op, none))),
  caseOf('not', [row('bool')], apply(p.not, none)),
  caseOf('atan2', [column('f32'), row('f32')], apply(p.atan2, none)),
  caseOf(
    'round between',
    [{ dtype: 'f32', sizes: [8], data: [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 8388607.5].map(Math.fround) }],
    apply(p.round, none),
  ),
  ...all.flatMap(dtype => [
    caseOf(
      `select ${dtype}`,
      [{ dtype: 'bool', sizes: [2, 1, 1], data: [0, 1] }, column(dtype), row(dtype)],
      apply(p.select, none),
    ),
    caseOf(`stopGradient ${dtype}`, [row(dtype)], apply(p.stopGradient, none)),
    ...(['f32', 'i32', 'bool'] as const).map(to =>
      caseOf(`cast ${dtype} to ${to}`, [row(dtype)], apply(p.cast, { dtype: to })),
    ),
    caseOf(`reshape ${dtype}`, [column(dtype)], apply(p.reshape, { shape: [special[dtype]!.length] })),
    caseOf(`transpose ${dtype}`, [pairs(dtype)], apply(p.transpose, { permutation: [1, 0] })),
    caseOf(`broadcastTo ${dtype}`, [column(dtype)], apply(p.broadcastTo, { shape: [2, special[dtype]!.length, 3] })),
    caseOf(
      `broadcastTo ${dtype}, scalar`,
      [{ dtype, sizes: [], data: [special[dtype]!.at(-1)!] }],
      apply(p.broadcastTo, { shape: [5, 3] }),
    ),
    ...[0, 1].flatMap(axis => [
      caseOf(`take ${dtype}, axis ${axis}`, [pairs(dtype), index(1, 0, 1)], apply(p.take, { axis })),
      caseOf(
        `put ${dtype}, axis ${axis}`,
        [
          pairs(dtype),
          index(1),
          {
            dtype,
            sizes: axis === 0 ? [1, 2] : [pairs(dtype).sizes[0]!, 1],
            data: pairs(dtype).data.slice(0, axis === 0 ? 2 : pairs(dtype).sizes[0]),
          },
        ],
        apply(p.put, { axis }),
      ),
      caseOf(
        `concat ${dtype}, axis ${axis}`,
        [pairs(dtype), pairs(dtype)],
        apply(p.concat, { axis, dim: 2 * pairs(dtype).sizes[axis]! }),
      ),
      caseOf(`slice ${dtype}, axis ${axis}`, [pairs(dtype)], apply(p.slice, { axis, start: [1], dim: 1 })),
      caseOf(
        `pad ${dtype}, axis ${axis}`,
        [pairs(dtype)],
        apply(p.pad, { axis, start: [1], dim: pairs(dtype).sizes[axis]! + 2 }),
      ),
    ]),
    caseOf(
      `pick ${dtype}`,
      [
        { dtype, sizes: [2, 2], data: special[dtype]!.slice(0, 2).flatMap(v => [v, special[dtype]!.at(-1)!]) },
        index(0, 1),
      ],
      apply(p.pick, none),
    ),
    ...[0, 1].map(axis =>
      caseOf(
        `takeAlong ${dtype}, axis ${axis}`,
        [
          { dtype, sizes: [2, 2], data: special[dtype]!.slice(0, 2).flatMap(v => [v, special[dtype]!.at(-1)!]) },
          { dtype: 'i32', sizes: [2, 2], data: [1, 1, 0, 1] },
        ],
        apply(p.takeAlong, { axis }),
      ),
    ),
    caseOf(`nonzero ${dtype}`, [row(dtype)], apply(p.nonzero, { capacity: special[dtype]!.length })),
  ]),
  ...numeric.flatMap(dtype => [
    ...[p.neg, p.abs, p.sign].map(op => caseOf(`${op.name} ${dtype}`, [row(dtype)], apply(op, none))),
    ...[p.sum, p.max, p.min].flatMap(op =>
      [[0], [1], [0, 1]].map(axes =>
        caseOf(`${op.name} ${dtype} over ${axes.join()}`, [pairs(dtype)], apply(op, { axes, keepDims: false })),
      ),
    ),
    ...[false, true].flatMap(descending => [
      caseOf(`argsort ${dtype}`, [row(dtype)], apply(p.argsort, { axis: 0, descending, dim: special[dtype]!.length })),
      caseOf(`argsort ${dtype} of pairs`, [pairs(dtype)], apply(p.argsort, { axis: 1, descending, dim: 2 })),
      caseOf(`argsort ${dtype} of columns`, [pairs(dtype)], apply(p.argsort, { axis: 0, descending, dim: 7 })),
    ]),
    ...[composites.argmax, composites.argmin].flatMap(op => [
      caseOf(`${op.name} ${dtype}`, [row(dtype)], apply(op, { axis: 0, keepDims: false })),
      caseOf(`${op.name} ${dtype} of pairs`, [pairs(dtype)], apply(op, { axis: 1, keepDims: true })),
    ]),
    ...directions.map(of => caseOf(`cumsum ${dtype} of pairs`, [pairs(dtype)], apply(p.cumsum, { axis: 1, ...of }))),
    caseOf(`prod ${dtype} of pairs`, [pairs(dtype)], apply(p.prod, { axes: [1], keepDims: false })),
    ...[0, 1].map(axis =>
      caseOf(
        `scatterAlong ${dtype}, axis ${axis}`,
        [
          { dtype: 'i32', sizes: [3, 3], data: [1, 1, 0, 2, 1, 2, 1, 0, 0] },
          { dtype, sizes: [3, 3], data: special[dtype]!.slice(4, 13) },
        ],
        apply(p.scatterAlong, { axis, dim: 4 }),
      ),
    ),
    caseOf(
      `scatterAdd ${dtype}`,
      [index(1, 1), { ...pairs(dtype), sizes: [2, pairs(dtype).sizes[0]!] }],
      apply(p.scatterAdd, { axis: 0, dim: 3 }),
    ),
  ]),
  ...[
    p.exp,
    p.log,
    p.sqrt,
    p.rsqrt,
    p.tanh,
    p.sigmoid,
    p.erf,
    p.floor,
    p.round,
    p.asin,
    p.acos,
    p.atan,
    p.sinh,
    p.cosh,
    p.asinh,
    p.acosh,
    p.atanh,
    p.log1p,
    p.expm1,
    composites.silu,
    composites.gelu,
    composites.softplus,
  ].map(op => caseOf(op.name, [row('f32')], apply(op as Op<object>, none))),
  ...[p.sin, p.cos, p.tan].map(op =>
    caseOf(
      op.name,
      [{ dtype: 'f32', sizes: [7], data: [Number.NaN, Infinity, -Infinity, -0, 1, -1000, 9999.5] }],
      apply(op as Op<object>, none),
    ),
  ),
  // no term overflows alone: the order of a sum is the processor's, and some add a product before it is rounded
  caseOf(
    'contract',
    [pairs('f32'), { dtype: 'f32', sizes: [2, 3], data: [1, 0, -1, 0, 1, 0.5] }],
    apply(p.contract, { a: 'mk', b: 'kn', out: 'mn' }),
  ),
  caseOf('softmax', [rows], apply(composites.softmax, none)),
  caseOf('logSoftmax', [rows], apply(composites.logSoftmax, none)),
  caseOf('softmaxGrad', [rows, { ...rows, data: rows.data.map(() => 1) }], apply(composites.softmaxGrad, none)),
  caseOf('rmsNorm', [rows, { dtype: 'f32', sizes: [2], data: [1, 0.5] }], apply(composites.rmsNorm, { epsilon: 1e-5 })),
  caseOf('siluGrad', [{ ...row('f32'), data: reals.map(() => 1) }, row('f32')], apply(composites.siluGrad, none)),
  caseOf(
    'crossEntropy',
    [rows, { dtype: 'i32', sizes: [rows.sizes[0]!], data: rows.data.slice(0, rows.sizes[0]).map((_, i) => i % 2) }],
    apply(composites.crossEntropy, none),
  ),
  caseOf(
    'sigmoidBinaryCrossEntropy',
    [column('f32'), { dtype: 'f32', sizes: [2], data: [0, 1] }],
    apply(composites.sigmoidBinaryCrossEntropy, none),
  ),
  caseOf('squaredError', [column('f32'), row('f32')], apply(composites.squaredError, none)),
  ...numeric.map(dtype => caseOf(`iota ${dtype}`, [], apply(p.iota, { dim: 5, dtype }))),
]

const expectedOf = ({ root, feeds, size }: Case): Float64Array => interpret([root], feeds, size)[0]!.data
/** Equal integers; reals that are equal after rounding, or close given their operands. */
const same = (dtype: DType, found: number, expected: number): boolean => {
  if (dtype !== 'f32') return found === expected
  const rounded = Math.fround(expected)
  return (
    found === rounded ||
    (Number.isNaN(found) && Number.isNaN(rounded)) ||
    Math.abs(found - rounded) <= 3e-5 * Math.max(1e-2, Math.abs(rounded))
  )
}
const faultsOf = (one: Case, found: ArrayLike<number>): readonly string[] => {
  const expected = expectedOf(one)
  const at = (i: number): string =>
    one.leaves
      .map(leaf => {
        const { data } = one.feeds.get(leaf)!
        return data.length === expected.length ? data[i] : '…'
      })
      .join(' and ')
  return Array.from(expected).flatMap((v, i) =>
    same(one.root.dtype, found[i]!, v) ? [] : [`${one.name}: ${found[i]} is not ${v} (${i}: of ${at(i)})`],
  )
}
const check = (one: Case, found: ArrayLike<number>): void => {
  const faults = faultsOf(one, found)
  assert.equal(faults.length, 0, faults.slice(0, 8).join('\n'))
}
for (const [title, open] of devices) {
  test(
    `integers, truth values and reals at the edge mean the same on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      try {
        for (const one of cases)
          check(one, await runOn(device, one).catch((error: unknown) => assert.fail(`${one.name}: ${String(error)}`)))
      } finally {
        await device.dispose()
      }
    },
  )
}

/**
 * TensorFlow's Softmax turns numbers that are not finite into NaN, and the rest of their row into 0 or NaN: if the
 * reference has a row of NaN, a graph has at least one in it, so that no loss is finite.
 */
const nanByRow = (one: Case, found: ArrayLike<number>): ArrayLike<number> => {
  if (!/^(softmax|causalSoftmax|crossEntropyGrad)$/.test(one.root.op.name)) return found
  const width = one.root.shape.at(-1) as number
  const data = Array.from(found)
  return data.map((v, i) => {
    const begin = i - (i % width)
    return data.slice(begin, begin + width).some(Number.isNaN) ? Number.NaN : v
  })
}
/**
 * A result of integers as truth values: which of them are those of the reference. Graphs return floats, which do not
 * hold all integers.
 */
const compared = (one: Case): Case => {
  if (one.root.dtype !== 'i32') return one
  const data = expectedOf(one)
  const expected = placeholder(one.root.shape, 'i32')
  const feeds = new Map([...one.feeds, [expected as Node, { sizes: one.root.shape.map(Number), data }] as const])
  return { ...one, root: node(p.equal, [one.root, expected], none), leaves: [...one.leaves, expected], feeds }
}
for (const xla of [false, true]) {
  nodeTest(`and in a graph${xla ? ' that XLA compiles' : ''}`, async t => {
    if (xla && !(await hasXla(await native()))) {
      t.skip('this TensorFlow has no XLA')
      return
    }
    // the parts that XLA compiles: elementwise ops, reductions, and the kernels of losses
    const kernels =
      /^(add|mul|div|pow|remainder|maximum|minimum|less|equal|notEqual|greater|and|or|not|select|cast|neg|sign|sum|max|min|prod|floor|round|a?sin|a?cos|a?tan|exp|log|softplus|softmaxGrad|rmsNorm|silu|crossEntropy|causalSoftmax)/
    const asked = cases.filter(({ name }) => !xla || (kernels.test(name) && !name.includes('scalar'))).map(compared)
    const results = await resultsOf(
      asked.map(one => ({ ...one, sizes: {}, differentiable: [] })),
      { sizes: 'static', xla },
    )
    const faults = asked.flatMap((one, i) => faultsOf(one, nanByRow(one, results[i]!.data)).slice(0, 4))
    assert.equal(faults.length, 0, faults.slice(0, 60).join('\n'))
  })
}

test("the meaning of integers is two's complement, and a quotient cut off towards 0", () => {
  const big =
    (op: (a: bigint, b: bigint) => bigint) =>
    (a: number, b: number): number =>
      Number(BigInt.asIntN(32, op(BigInt(a), BigInt(b))))
  const least = -(2 ** 31)
  const meanings: Readonly<Record<string, (a: number, b: number) => number>> = {
    add: big((a, b) => a + b),
    sub: big((a, b) => a - b),
    mul: big((a, b) => a * b),
    div: (a, b) => (b === 0 ? -1 : big((n, d) => n / d)(a, b)),
    pow: (a, b) =>
      b < 0
        ? a === 1
          ? 1
          : a === -1
            ? b % 2
              ? -1
              : 1
            : 0
        : Array.from(b.toString(2)).reduce((y, bit) => big((n, m) => n * n * m)(y, bit === '1' ? a : 1), 1),
  }
  for (const [name, meaning] of Object.entries(meanings)) {
    const one = cases.find(of => of.name === `${name} i32, repeated`)!
    const found = expectedOf(one)
    integers.forEach((a, i) =>
      integers.forEach((b, k) =>
        assert.equal(found[i * integers.length + k], meaning(a, b), `${name} of ${a} and ${b}`),
      ),
    )
  }
  assert.equal(expectedOf(caseOf('', [index(least, 1, -1)], apply(p.sum, { axes: [0], keepDims: false })))[0], least)
  assert.equal(expectedOf(caseOf('', [index(2 ** 31 - 1, 1)], apply(p.sum, { axes: [0], keepDims: false })))[0], least)
})

test("a float's meaning, on a target of integers, is refuted", async () => {
  const device = await devices[0]![1]()
  for (const [name, wrong] of [
    ['div i32, repeated', (a: number, b: number) => a / b],
    ['mul i32, repeated', (a: number, b: number) => (a * b) | 0],
    ['add i32, repeated', (a: number, b: number) => a + b],
  ] as const) {
    const one = cases.find(of => of.name === name)!
    const mutant = integers.flatMap(a => integers.map(b => wrong(a, b)))
    assert.notDeepEqual(faultsOf(one, mutant), [], name)
    assert.deepEqual(faultsOf(one, await runOn(device, one)), [])
  }
})

test('operands that an op does not take are refused in words, and nothing is converted in silence', () => {
  const f = f32('n')
  const i = i32('n')
  const b = node(p.less, [f, f], {})
  const apply2 =
    (op: Op<object>, ...of: readonly Node[]) =>
    (): Node =>
      node(op, of, {})
  const refused = (make: () => unknown, message: string): void => {
    assert.throws(make, { name: 'ShapeMismatch', message })
  }
  refused(apply2(p.add, i, f), 'add: i32 and f32 differ: cast one')
  refused(apply2(p.add, b, b), 'add: takes f32 or i32, not bool: cast it')
  refused(apply2(p.exp, i), 'exp: takes f32, not i32: cast it')
  refused(apply2(p.less, b, b), 'less: takes f32 or i32, not bool: cast it')
  refused(apply2(p.select, f, f, f), 'select: the condition is f32, not bool')
  refused(() => node(p.sum, [b], { axes: [0], keepDims: false }), 'sum: takes f32 or i32, not bool: cast it')
  refused(() => node(p.contract, [i, i], { a: 'm', b: 'n', out: 'mn' }), 'contract: takes f32, not i32: cast it')
  refused(() => node(p.take, [f, f], { axis: 0 }), 'take: the index is f32, not i32')
  refused(() => node(p.concat, [f, i], { axis: 0, dim: 'm' }), 'concat: f32 and i32 differ: cast one')
  refused(() => node(p.cast, [f], { dtype: 'bf16' }), 'cast: gives f32, i32 or bool, not bf16')
  refused(() => node(p.constant, [], { value: 0.5, shape: [], dtype: 'i32' }), 'constant: 0.5 is no 32-bit integer')
  refused(
    apply2(composites.crossEntropy, node(p.transpose, [f32('n', 'c')], { permutation: [0, 1] }), f),
    'crossEntropy: the labels is f32, not i32',
  )
})

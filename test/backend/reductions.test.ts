import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as lang from '../../src/index.ts'
import {
  gradients,
  interpret,
  placeholder,
  u,
  whole,
  type DType,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import { devices } from '../support/devices.ts'
import { resultsOf } from '../support/graph-results.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { runOn } from '../support/run-on.ts'
import type { Instance } from '../support/op-subjects.ts'

/** Reductions, sorts and cumulative ops, their gradients and some of their second derivatives, beside PyTorch. */

type Written = number | 'NaN' | 'Infinity' | '-Infinity'
interface Golden {
  readonly sizes: readonly number[]
  readonly data: readonly Written[]
}
interface Case {
  readonly name: string
  readonly inputs: readonly Golden[]
  readonly value: Golden
  readonly cotangent?: Golden
  readonly gradient?: Golden
  readonly direction?: Golden
  readonly second?: Golden
}
const { cases } = JSON.parse(
  readFileSync(new URL('../golden/reductions/reductions.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] }
const numbersOf = ({ sizes, data }: Golden): Numbers => ({ sizes, data: Float64Array.from(data, Number) })

type Build = (x: lang.Tensor<readonly [3, 4]>, index: lang.Tensor<readonly [3, 3], 'i32'>) => Node
const builds: { readonly [name: string]: Build } = {
  'min': x => lang.min(x),
  'min of rows': x => lang.min(x, -1),
  'max of columns': x => lang.max(x, 0),
  'max of rows': x => lang.max(x, [1]),
  'prod': x => lang.prod(x),
  'prod of rows': x => lang.prod(x, 1),
  'prod of all': x => lang.prod(x, [1, 0]),
  'prod of small numbers': x => lang.prod(x, -1),
  'variance': x => lang.variance(x),
  'variance of rows': x => lang.variance(x, -1, false, { correction: 1 }),
  'variance of columns': x => lang.variance(x, 0, true),
  'std of rows': x => lang.std(x, -1),
  'std of samples': x => lang.std(x, -1, false, { correction: 1 }),
  'median of rows': x => lang.median(x, -1, true),
  'median': x => lang.median(x),
  'quantile of columns': x => lang.quantile(x, 0.3, 0),
  'quantile of odd rows': x => lang.quantile(x, 1, 1),
  'logSumExp of rows': x => lang.logSumExp(x, -1),
  'logSumExp': x => lang.logSumExp(x),
  'norm': x => lang.norm(x),
  'norm of rows': x => lang.norm(x, -1, true),
  'norm 1 of rows': x => lang.norm(x, -1, false, { ord: 1 }),
  'norm max of rows': x => lang.norm(x, -1, false, { ord: 'max' }),
  'cumsum of rows': x => lang.cumsum(x, -1),
  'cumsum of columns, exclusive': x => lang.cumsum(x, 0, { exclusive: true }),
  'cumsum of rows, reverse': x => lang.cumsum(x, 1, { reverse: true }),
  'cumsum of rows, exclusive and reverse': x => lang.cumsum(x, 1, { exclusive: true, reverse: true }),
  'cumprod of rows': x => lang.cumprod(x, -1),
  'cumprod of columns, reverse': x => lang.cumprod(x, 0, { reverse: true }),
  'sort of rows': x => lang.sort(x),
  'sort of columns, descending': x => lang.sort(x, 0, { descending: true }),
  'argsort of rows': x => lang.argsort(x),
  'argsort of rows, descending': x => lang.argsort(x, -1, { descending: true }),
  'topK': x => lang.topK(x, 2).values,
  'topK, indices': x => lang.topK(x, 2).indices,
  'argmax of rows': x => lang.argmax(x, -1),
  'argmin of rows': x => lang.argmin(x, 1),
  'argmax': x => lang.argmax(x),
  'argmin of columns': x => lang.argmin(x, 0),
  'takeAlong': (x, index) => lang.takeAlong(x, index, -1),
  // the index has the shape that the case gives it
  'takeAlong of columns': (x, index) => lang.takeAlong(x, index as never, 0),
}

interface Question {
  readonly name: string
  readonly instance: Instance
  readonly expected: Numbers
}
const questionsOf = (one: Case): readonly Question[] => {
  const leaves = one.inputs.map(({ sizes }, i) => placeholder(sizes, i === 0 ? 'f32' : 'i32'))
  const root = builds[one.name]!(leaves[0] as never, leaves[1] as never)
  const ask = (name: string, asked: Node, expected: Golden, more: readonly (readonly [Node, Golden])[]): Question => ({
    name: `${one.name}${name}`,
    expected: numbersOf(expected),
    instance: {
      root: asked,
      leaves: [...leaves, ...more.map(([leaf]) => leaf)],
      differentiable: [],
      feeds: new Map(
        [...leaves.map((leaf, i) => [leaf, one.inputs[i]!] as const), ...more].map(([leaf, of]) => [
          leaf,
          numbersOf(of),
        ]),
      ),
      sizes: {},
      size: Number,
    },
  })
  const of = (y: Node, dy: Node): Node => gradients([y], [dy], [whole(leaves[0]!)]).gradients[0]!
  const value = ask('', root, one.value, [])
  if (!one.cotangent || !one.gradient) return [value]
  const dy = placeholder(one.cotangent.sizes, 'f32')
  const gradient = of(root, dy)
  const first = ask(', gradient', gradient, one.gradient, [[dy, one.cotangent]])
  if (!one.direction || !one.second) return [value, first]
  const v = placeholder(one.direction.sizes, 'f32')
  return [
    value,
    first,
    ask(', second', of(gradient, v), one.second, [
      [dy, one.cotangent],
      [v, one.direction],
    ]),
  ]
}
const questions = cases.flatMap(questionsOf)

/** The numbers that differ. `-∞` and NaN agree with themselves alone. */
const faultsOf = ({ name, expected }: Question, found: ArrayLike<number>, tolerance: number): readonly string[] =>
  found.length !== expected.data.length
    ? [`${name}: ${found.length} numbers`]
    : Array.from(expected.data).flatMap((v, i) =>
        Object.is(found[i], v) || Math.abs(found[i]! - v) <= tolerance * Math.max(1, Math.abs(v))
          ? []
          : [`${name}: ${found[i]} is not ${v} at ${i}`],
      )

test('every case of PyTorch is asked, and each function of the language', () => {
  assert.deepEqual(cases.map(({ name }) => name).sort(), Object.keys(builds).sort())
})
test('in float64, reductions and their derivatives are those of PyTorch', () => {
  assert.deepEqual(
    questions.flatMap(one => faultsOf(one, interpret([one.instance.root], one.instance.feeds, Number)[0]!.data, 1e-9)),
    [],
  )
})
test('a wrong number is refuted', () => {
  const [first] = questions
  const wrong = Array.from(first!.expected.data, v => v + 1e-3)
  assert.equal(faultsOf(first!, wrong, 1e-4).length, wrong.length)
})
for (const [title, open] of devices) {
  test(
    `reductions and their derivatives on ${title} are those of PyTorch`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      try {
        const faults: string[] = []
        for (const one of questions)
          faults.push(...faultsOf(one, await runOn(device, one.instance), title === 'reference' ? 1e-5 : 1e-4))
        assert.deepEqual(faults, [])
      } finally {
        await device.dispose()
      }
    },
  )
}
nodeTest('and in a graph', async () => {
  const results = await resultsOf(
    questions.map(({ instance }) => instance),
    { sizes: 'static' },
  )
  assert.deepEqual(
    questions.flatMap((one, i) => faultsOf(one, results[i]!.data, 1e-4)),
    [],
  )
})

/** Long rows in which every element occurs many times, and the orders of them that are asked. */
const equals = ([false, true] as const).flatMap(descending =>
  (['f32', 'i32'] as const).flatMap(dtype =>
    [3000, 50].map((dim): Question => {
      const x = placeholder([2, 3000], dtype)
      const feeds = new Map<Node, Numbers>([
        [x, { sizes: [2, 3000], data: Float64Array.from({ length: 6000 }, (_, i) => ((i * i) % 11) - 5) }],
      ])
      const root = u.argsort(x, 1, { descending, dim })
      return {
        name: `${dim} of 3000 ${dtype}${descending ? ', descending' : ''}`,
        instance: { root, leaves: [x], differentiable: [], feeds, sizes: {}, size: Number },
        expected: interpret([root], feeds, Number)[0]!,
      }
    }),
  ),
)
for (const [title, open] of devices) {
  test(
    `equal elements of long rows keep their order on ${title}`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      try {
        for (const one of equals) assert.deepEqual(faultsOf(one, await runOn(device, one.instance), 0), [])
      } finally {
        await device.dispose()
      }
    },
  )
}
nodeTest('and in a graph, sizes known or not', async () => {
  for (const sizes of ['static', 'fed'] as const) {
    const results = await resultsOf(
      equals.map(({ instance }) => instance),
      { sizes },
    )
    assert.deepEqual(
      equals.flatMap((one, i) => faultsOf(one, results[i]!.data, 0)),
      [],
    )
  }
})

const evaluated = (root: Node, ...feeds: readonly (readonly [Node, readonly number[]])[]): readonly number[] => [
  ...interpret(
    [root],
    new Map(feeds.map(([leaf, data]) => [leaf, { sizes: leaf.shape.map(Number), data: Float64Array.from(data) }])),
    Number,
  )[0]!.data,
]
const leaf = <const S extends lang.Shape, D extends DType>(shape: S, dtype: D): lang.Tensor<S, D> =>
  placeholder(shape, dtype) as lang.Tensor<S, D>

test('names and numbers name the same axes', () => {
  const x = lang.f32('batch', 'seq', 'hidden')
  const same = (a: Node, b: Node): void => {
    assert.deepEqual([a.shape, a.attributes], [b.shape, b.attributes])
  }
  same(lang.sum(x, 'seq'), lang.sum(x, 1))
  same(lang.max(x, ['hidden', 'batch'], true), lang.max(x, [-1, 0], true))
  same(lang.argmin(x, 'batch'), lang.argmin(x, 0))
  same(lang.cumsum(x, 'hidden'), lang.cumsum(x, -1))
  same(lang.argsort(x, 'seq'), lang.argsort(x, 1))
})
test('integers are reduced as integers, and truth values as truth values', () => {
  const i = leaf([2, 2], 'i32')
  const large = 2 ** 31 - 1
  const of = [large, 2, -3, 5] as const
  assert.deepEqual(evaluated(lang.sum(i, 1), [i, of]), [-(2 ** 31) + 1, 2])
  assert.deepEqual(evaluated(lang.prod(i, 1), [i, of]), [-2, -15])
  assert.deepEqual(evaluated(lang.min(i), [i, of]), [-3])
  assert.deepEqual(evaluated(lang.cumsum(i, 0), [i, of]), [large, 2, large - 3, 7])
  assert.deepEqual(evaluated(lang.sort(i, 0), [i, of]), [-3, 2, large, 5])
  const b = lang.less(i, lang.integer(0))
  assert.equal(lang.any(b).dtype, 'bool')
  assert.deepEqual(evaluated(lang.any(b, 1), [i, of]), [0, 1])
  assert.deepEqual(evaluated(lang.all(b, 1, true), [i, [-1, -1, -1, 0]]), [1, 0])
})
test('an index of a place counts the elements in order, and axes that stay are 1', () => {
  const x = leaf([2, 3], 'f32')
  const of = [1, 5, 2, 7, 0, 7]
  assert.deepEqual(evaluated(lang.argmax(x), [x, of]), [3])
  const kept = lang.argmin(x, undefined, true)
  assert.deepEqual(kept.shape, [1, 1])
  assert.deepEqual(evaluated(kept, [x, of]), [4])
  assert.deepEqual(lang.sum(x, undefined, true).shape, [1, 1])
})
test('a row of −∞ has a log-sum-exp of −∞ with a gradient of 0, and one of equal numbers a deviation of 0, also with 0', () => {
  const x = leaf([2, 3], 'f32')
  const gradientOf = (y: Node): Node => gradients([lang.sum(y as never)], [lang.scalar(1)], [whole(x)]).gradients[0]!
  const low = [-Infinity, -Infinity, -Infinity, 0, 0, -Infinity]
  const y = lang.logSumExp(x, 1)
  assert.deepEqual(evaluated(y, [x, low]), [-Infinity, Math.log(2)])
  assert.deepEqual(evaluated(gradientOf(y), [x, low]), [0, 0, 0, 0.5, 0.5, 0])
  const equal = [3, 3, 3, -1, 0, 1]
  const spread = lang.std(x, 1)
  assert.deepEqual(evaluated(spread, [x, equal]), [0, Math.sqrt(2 / 3)])
  assert.deepEqual(evaluated(gradientOf(spread), [x, equal]).slice(0, 3), [0, 0, 0])
  for (const ord of [1, 2, 'max'] as const)
    assert.deepEqual(
      evaluated(gradientOf(lang.norm(x, 1, false, { ord })), [x, [0, 0, 0, 3, 0, 0]]),
      [0, 0, 0, 1, 0, 0],
      String(ord),
    )
})
test('labels become rows with a 1, and a label beyond the classes becomes a row of zeros', () => {
  const labels = leaf([3], 'i32')
  const y = lang.oneHot(labels, 3)
  assert.deepEqual(y.shape, [3, 3])
  assert.deepEqual(evaluated(y, [labels, [2, 0, 5]]), [0, 0, 1, 1, 0, 0, 0, 0, 0])
})
test('a quantile lies between two elements, also beside infinite ones', () => {
  const x = leaf([4], 'f32')
  const of = [Infinity, 1, -Infinity, 3]
  assert.deepEqual(
    [0, 1 / 3, 0.5, 2 / 3, 1].map(q => evaluated(lang.quantile(x, q), [x, of])[0]),
    [-Infinity, 1, 2, 3, Infinity],
  )
  assert.throws(() => lang.quantile(x, 1.5), {
    name: 'RangeError',
    message: 'quantile: 1.5 does not lie between 0 and 1',
  })
  assert.throws(() => lang.quantile(x, NaN), RangeError)
})
test('what a reduction or a sort does not take is refused in words', () => {
  const x = lang.f32('batch', 'n', 'n')
  const untyped = (f: unknown) => f as (...args: readonly unknown[]) => Node
  for (const [make, message] of [
    [() => untyped(lang.sum)(x, 'seq'), 'reduce: [batch, n, n] has no dim seq'],
    [() => untyped(lang.sum)(x, 'n'), 'reduce: n is 2 dims of [batch, n, n]: give the number of the axis'],
    [() => untyped(lang.mean)(x, ['batch', 0]), 'reduce: axis 0 is repeated in [batch, 0]'],
    [() => untyped(lang.all)(x, 0), 'all: takes bool, not f32: cast it'],
    [() => untyped(lang.prod)(lang.less(x, 0)), 'prod: takes f32 or i32, not bool: cast it'],
    [() => untyped(lang.sort)(x, 3), 'sort: axis 3 is out of range for [batch, n, n]'],
    [() => untyped(lang.sort)(lang.less(x, 0)), 'argsort: takes f32 or i32, not bool: cast it'],
    [() => untyped(lang.topK)(lang.f32('batch', 6), 7), 'topK: 7 is beyond 6 in [batch, 6]'],
    [() => untyped(lang.topK)(x, 0), 'dim as is 0: a dim is a positive whole number, a name or a product of them'],
    [
      () => untyped(lang.takeAlong)(x, lang.i32('batch', 3), 1),
      'takeAlong: the index [batch, 3] does not go along axis 1 of [batch, n, n]',
    ],
    [() => untyped(lang.takeAlong)(x, lang.f32('batch', 3, 'n'), 1), 'takeAlong: the index is f32, not i32'],
  ] as const) {
    assert.throws(make, { name: 'ShapeMismatch', message })
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as p from '../../src/index.ts'
import { nan, type Node } from '../../src/index.ts'
import { gradients, interpret, whole, type Numbers } from '../../src/compiler.ts'

// A reduction that leaves NaN out is the plain one of the numbers that are left, row by row.

const x = p.f32('row', 'n')
const numbers = fc.oneof(fc.constant(NaN), fc.integer({ min: -9, max: 9 }))
const rows = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 }))
  .chain(([n, count]) =>
    fc.array(fc.array(numbers, { minLength: n, maxLength: n }), { minLength: count, maxLength: count }),
  )
const valueOf = (y: Node, data: readonly (readonly number[])[], extra: ReadonlyMap<Node, Numbers> = new Map()) =>
  interpret(
    [y],
    new Map([[x, { sizes: [data.length, data[0]!.length], data: Float64Array.from(data.flat()) }], ...extra]),
    dim =>
      String(dim)
        .split('*')
        .reduce((n, name) => n * (name === 'row' ? data.length : name === 'n' ? data[0]!.length : Number(name)), 1),
  )[0]!.data

/** A reduction of one tensor along its last axis. */
type OfRow = (x: p.Tensor<readonly ['row', 'n']>) => Node
const pairs: readonly (readonly [name: string, without: OfRow, plain: OfRow, empty: number])[] = [
  ['sum', x => nan.sum(x, -1), x => p.sum(x, -1), 0],
  ['prod', x => nan.prod(x, -1), x => p.prod(x, -1), 1],
  ['mean', x => nan.mean(x, -1), x => p.mean(x, -1), NaN],
  ['max', x => nan.max(x, -1), x => p.max(x, -1), NaN],
  ['min', x => nan.min(x, -1), x => p.min(x, -1), NaN],
  ['variance', x => nan.variance(x, -1), x => p.variance(x, -1), NaN],
  ['std', x => nan.std(x, -1), x => p.std(x, -1), NaN],
  ['median', x => nan.median(x, -1), x => p.median(x, -1), NaN],
  ['quantile', x => nan.quantile(x, 0.3, -1), x => p.quantile(x, 0.3, -1), NaN],
]
const isSame = (a: number, b: number): boolean => Object.is(a, b) || Math.abs(a - b) < 1e-9
for (const [name, without, plain, empty] of pairs)
  test(`nan.${name} is ${name} of the numbers that are left`, () => {
    fc.assert(
      fc.property(rows, data => {
        const found = valueOf(without(x), data)
        data.forEach((row, at) => {
          const left = row.filter(value => !Number.isNaN(value))
          const due = left.length === 0 ? empty : valueOf(plain(x), [left])[0]!
          assert.ok(isSame(found[at]!, due), `${found[at]} is not ${due}`)
        })
        // its gradient too, and none flows to a NaN
        const full = data.filter(row => row.some(value => !Number.isNaN(value)))
        fc.pre(full.length > 0)
        const slope = (y: Node): Node =>
          gradients([p.sum(y as p.Tensor<readonly ['row']>)], [p.scalar(1)], [whole(x)]).gradients[0]!
        const slopes = valueOf(slope(without(x)), full)
        full.forEach((row, at) => {
          const left = row.filter(value => !Number.isNaN(value))
          const due = valueOf(slope(plain(x)), [left])
          const own = row.flatMap((value, i) => (Number.isNaN(value) ? [] : [slopes[at * row.length + i]!]))
          assert.ok(
            own.every((value, i) => isSame(value, due[i]!)),
            `${own.join()} is not ${due.join()}`,
          )
          row.forEach((value, i) => assert.ok(!Number.isNaN(value) || slopes[at * row.length + i] === 0))
        })
      }),
      { numRuns: 60 },
    )
  })

test('nan.argmax and nan.argmin give the first place of an extreme number, and −1 if there is none', () => {
  fc.assert(
    fc.property(rows, data => {
      for (const [reduced, better] of [
        [nan.argmax(x, -1), Math.max],
        [nan.argmin(x, -1), Math.min],
      ] as const) {
        const due = data.map(row => row.indexOf(better(...row.filter(value => !Number.isNaN(value)))))
        assert.deepEqual([...valueOf(reduced, data)], due)
      }
    }),
  )
})

test('axes may be all, and stay as 1', () => {
  const data = [
    [1, NaN, 4],
    [NaN, -2, 9],
  ]
  assert.deepEqual([...valueOf(nan.mean(x), data)], [3])
  assert.deepEqual([...valueOf(nan.median(x), data)], [2.5])
  assert.deepEqual([...valueOf(nan.argmin(x), data)], [4])
  assert.deepEqual(nan.median(x, 0, true).shape, [1, 'n'])
  assert.deepEqual(nan.argmax(x, 'n', true).shape, ['row', 1])
  assert.deepEqual([...valueOf(nan.prod(x, [0, 1], true), data)], [-72])
  assert.throws(() => nan.quantile(x, 2), RangeError)
})

for (const target of ['cpu', 'wasm'] as const)
  test(`${target} leaves NaN out as the definition says`, async () => {
    const all = p.model({
      params: {},
      batch: { x },
      forward: (_, b) => Object.fromEntries(pairs.map(([name, without]) => [name, without(b.x)])),
    })
    const data = [
      [1, NaN, 4, NaN],
      [NaN, -2, 9, 0.5],
      [NaN, NaN, NaN, NaN],
    ]
    await using run = await p.compile(all, { target, weights: {} })
    const found: Readonly<Record<string, p.AnyValue>> = await run.predict({ x: p.tensor(data, ['row', 'n']) })
    for (const [name, without] of pairs) {
      const own = Array.from(found[name]!.data as ArrayLike<number>)
      const due = [...valueOf(without(x), data)]
      assert.ok(
        own.every((value, at) => Object.is(value, due[at]) || Math.abs(value - due[at]!) < 1e-4),
        `${name}: ${own.join()}`,
      )
    }
  })

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  compile,
  f32,
  linalg,
  model,
  mul,
  scalar,
  ShapeMismatch,
  sum,
  tensor,
  uniform,
  type Node,
  type Tensor,
} from '../../src/index.ts'
import { gradients, interpret, whole, type Numbers } from '../../src/compiler.ts'

type Square = Tensor<readonly ['k', 'n', 'n']>
const n = 4
const one = scalar(1)
const count = 3
const size = (dim: string | number): number => (dim === 'k' ? count : dim === 'n' ? n : Number(dim))
const x: Square = f32('k', 'n', 'n')
const numbers = (data: readonly number[]): Numbers => ({ sizes: [count, n, n], data: Float64Array.from(data) })
const valueOf = (y: Node, data: readonly number[]): readonly number[] => [
  ...interpret([y], new Map([[x, numbers(data)]]), size)[0]!.data,
]
const furthest = (a: readonly number[], b: readonly number[]): number => {
  assert.equal(a.length, b.length)
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
}
const entry = (data: readonly number[], matrix: number, row: number, column: number): number =>
  data[(matrix * n + row) * n + column]!
/** Products of the matrices of two lists. */
const product = (a: readonly number[], b: readonly number[], isTransposed = false): readonly number[] =>
  a.map((_, at) => {
    const [matrix, row, column] = [Math.floor(at / n / n), Math.floor(at / n) % n, at % n]
    return Array.from({ length: n }, (_, k) => k).reduce(
      (total, k) =>
        total + entry(a, matrix, row, k) * (isTransposed ? entry(b, matrix, column, k) : entry(b, matrix, k, column)),
      0,
    )
  })
const unit = Array.from({ length: count * n * n }, (_, at) => Number(Math.floor(at / n) % n === at % n))
const matrices = (seed: number): readonly number[] => Array.from(uniform(seed, 0, count * n * n), u => 2 * u - 1)
/** The determinant by the sum over permutations. */
const leibniz = (data: readonly number[], matrix: number): number => {
  const from = (row: number, left: readonly number[]): number =>
    row === n
      ? 1
      : left.reduce(
          (total, column, at) =>
            total + (at % 2 === 0 ? 1 : -1) * entry(data, matrix, row, column) * from(row + 1, left.toSpliced(at, 1)),
          0,
        )
  return from(
    0,
    Array.from({ length: n }, (_, column) => column),
  )
}
const seeds = fc.integer({ min: 0, max: 1e6 })
const determinants = (data: readonly number[]): readonly number[] =>
  Array.from({ length: count }, (_, matrix) => leibniz(data, matrix))
const isRegular = (data: readonly number[]): boolean => determinants(data).every(d => Math.abs(d) > 0.05)

test('inverse, solve and determinants are those of their definitions, whatever the order of the pivots', () => {
  fc.assert(
    fc.property(seeds, seed => {
      const a = matrices(seed)
      fc.pre(isRegular(a))
      assert.ok(furthest(product(a, valueOf(linalg.inverse(x), a)), unit) < 1e-9)
      assert.ok(furthest(valueOf(linalg.solve(x, x), a), unit) < 1e-9)
      const due = determinants(a)
      assert.ok(furthest(valueOf(linalg.determinant(x), a), due) < 1e-12)
      const { sign, logarithm } = linalg.logDeterminant(x)
      assert.deepEqual(valueOf(sign, a), due.map(Math.sign))
      assert.ok(
        furthest(
          valueOf(logarithm, a),
          due.map(d => Math.log(Math.abs(d))),
        ) < 1e-9,
      )
      // a row that is 0 at the place of its column needs another pivot
      const turned = a.map((value, at) => (at % (n * n) === 0 ? 0 : value))
      fc.pre(isRegular(turned))
      assert.ok(furthest(product(turned, valueOf(linalg.inverse(x), turned)), unit) < 1e-9)
    }),
    { numRuns: 40 },
  )
})

test('the Cholesky factor is lower triangular, and its square is the matrix', () => {
  fc.assert(
    fc.property(seeds, seed => {
      const b = matrices(seed)
      const a = product(b, b, true).map((value, at) => value + 0.1 * unit[at]!)
      const l = valueOf(linalg.cholesky(x), a)
      assert.ok(furthest(product(l, l, true), a) < 1e-12)
      for (const [at, value] of l.entries()) if (at % n > Math.floor(at / n) % n) assert.equal(value, 0)
    }),
    { numRuns: 20 },
  )
})

test('the gradients are those of differences', () => {
  const b = matrices(7)
  const positive = product(b, b, true).map((value, at) => value + 0.5 * unit[at]!)
  const weights = f32('k', 'n', 'n')
  const weighted = matrices(8)
  const functions: readonly (readonly [string, Tensor<readonly []>])[] = [
    ['inverse', sum(mul(linalg.inverse(x), weights))],
    ['solve', sum(mul(linalg.solve(x, weights), weights))],
    ['determinant', sum(linalg.determinant(x))],
    ['logDeterminant', sum(linalg.logDeterminant(x).logarithm)],
    ['cholesky', sum(mul(linalg.cholesky(x), weights))],
  ]
  for (const [name, y] of functions) {
    const feeds = (data: readonly number[]) =>
      new Map([
        [x, numbers(data)],
        [weights, numbers(weighted)],
      ])
    const at = (data: readonly number[]): number => interpret([y], feeds(data), size)[0]!.data[0]!
    const found = gradients([y], [one], [whole(x)]).gradients[0]!
    const own = [...interpret([found], feeds(positive), size)[0]!.data]
    const h = 1e-5
    const due = positive.map(
      (value, i) => (at(positive.with(i, value + h)) - at(positive.with(i, value - h))) / (2 * h),
    )
    assert.ok(furthest(own, due) < 1e-5, `${name}: ${furthest(own, due)}`)
  }
})

test('a singular matrix has the determinant 0, without a gradient, and no inverse', () => {
  const singular = unit.map((value, at) => (at % (n * n) === 0 ? 0 : value))
  assert.deepEqual(valueOf(linalg.determinant(x), singular), [0, 0, 0])
  const { sign, logarithm } = linalg.logDeterminant(x)
  assert.deepEqual(valueOf(sign, singular), [0, 0, 0])
  assert.deepEqual(valueOf(logarithm, singular), [-Infinity, -Infinity, -Infinity])
  assert.ok(valueOf(linalg.inverse(x), singular).some(value => !Number.isFinite(value)))
  const [gradient] = gradients([sum(linalg.determinant(x))], [one], [whole(x)]).gradients
  const slopes = [...interpret([gradient!], new Map([[x, numbers(singular)]]), size)[0]!.data]
  assert.ok(slopes.some(Number.isNaN))
  assert.ok(
    valueOf(
      linalg.cholesky(x),
      unit.map(value => -value),
    ).some(Number.isNaN),
  )
})

test('what is no square matrix is refused', () => {
  const wide = f32('a', 'b')
  // @ts-expect-error inverse: [a, b] is not square
  assert.throws(() => linalg.inverse(wide), ShapeMismatch)
  // @ts-expect-error a vector
  assert.throws(() => linalg.determinant(f32('a')), ShapeMismatch)
  // @ts-expect-error matmul: inner dims differ
  assert.throws(() => linalg.solve(f32('b', 'b'), wide), /^ShapeMismatch: .*$/)
})

for (const target of ['cpu', 'wasm'] as const)
  test(`${target} computes what the definition says`, async () => {
    const b = matrices(11)
    const a = product(b, b, true).map((value, at) => value + unit[at]!)
    const all = model({
      params: {},
      batch: { a: x },
      forward: (_, batch) => ({
        inverse: linalg.inverse(batch.a),
        solution: linalg.solve(batch.a, batch.a),
        determinant: linalg.determinant(batch.a),
        logarithm: linalg.logDeterminant(batch.a).logarithm,
        factor: linalg.cholesky(batch.a),
      }),
    })
    const batch = { a: tensor(Float32Array.from(a), ['k', 'n', 'n'], { sizes: [count, n, n] }) }
    await using reference = await compile(all, { target: 'reference', weights: {} })
    await using run = await compile(all, { target, weights: {} })
    const due = await reference.predict(batch)
    const found = await run.predict(batch)
    for (const key of ['inverse', 'solution', 'determinant', 'logarithm', 'factor'] as const)
      assert.ok(furthest([...found[key].data], [...due[key].data]) < 1e-4, key)
  })

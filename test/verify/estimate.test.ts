import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { powerIteration, randomDirection, weightedSum } from '../../src/verify/estimate.ts'

type Vector = {
  readonly w: {
    readonly shape: readonly [number]
    readonly sizes: readonly number[]
    readonly dtype: 'f32'
    readonly data: Float32Array
  }
}
const vector = (data: ArrayLike<number>): Vector => ({
  w: { shape: [data.length], sizes: [data.length], dtype: 'f32', data: Float32Array.from(data) },
})

/** H = R diag(λ) R with a reflection R = I − 2vvᵀ/‖v‖²: symmetric, its eigenvalues are λ. */
interface Symmetric {
  readonly values: readonly number[]
  readonly mirror: readonly number[]
}
const product =
  ({ values, mirror }: Symmetric) =>
  (x: ArrayLike<number>): readonly number[] => {
    const square = mirror.reduce((sum, v) => sum + v * v, 0)
    const reflect = (y: ArrayLike<number>): readonly number[] => {
      const along = (2 * mirror.reduce((sum, v, i) => sum + v * y[i]!, 0)) / square
      return mirror.map((v, i) => y[i]! - along * v)
    }
    return reflect(reflect(x).map((y, i) => values[i]! * y))
  }
const symmetric: fc.Arbitrary<Symmetric> = fc.integer({ min: 2, max: 7 }).chain(n =>
  fc.record({
    values: fc.array(
      fc.integer({ min: -64, max: 64 }).map(k => k / 8),
      { minLength: n, maxLength: n },
    ),
    mirror: fc.array(fc.integer({ min: 1, max: 16 }), { minLength: n, maxLength: n }),
  }),
)
const iterate = (h: Symmetric, iterations: number, start = randomDirection(vector(h.mirror), 1)) =>
  powerIteration(v => Promise.resolve(vector(product(h)(v.w.data))), start, { iterations, tolerance: 0 })
const norm = ({ values }: Symmetric): number => Math.max(...values.map(Math.abs))

/** The largest increase that float32 can cause. */
const rounding = 1 + 1e-5
const fromBelow = (claimed: (h: Symmetric) => number) =>
  fc.asyncProperty(
    symmetric,
    fc.integer({ min: 1, max: 6 }),
    async (h, iterations) => (await iterate(h, iterations)).value <= claimed(h) * rounding,
  )
test('an estimate is at most the largest |eigenvalue|', async () => {
  await fc.assert(fromBelow(norm), { numRuns: 300 })
})
test('it is not at most the largest eigenvalue: where the most negative is larger in size, that is what is found', async () => {
  assert.equal(
    (
      await fc.check(
        fromBelow(h => Math.max(0, ...h.values)),
        { numRuns: 300 },
      )
    ).failed,
    true,
  )
})

const rises = (wrong: boolean) =>
  fc.asyncProperty(symmetric, fc.integer({ min: 1, max: 5 }), async (h, iterations) => {
    const [fewer, more] = [await iterate(h, iterations), await iterate(h, iterations + 1)]
    return wrong ? more.value <= fewer.value : more.value >= fewer.value / rounding
  })
test('more iterations never estimate less', async () => {
  await fc.assert(rises(false), { numRuns: 300 })
})
test('that they estimate no more is refuted', async () => {
  assert.equal((await fc.check(rises(true), { numRuns: 300 })).failed, true)
})

test('where one eigenvalue is apart from the others it is found, with its sign', async () => {
  const h = { values: [-6, 2, 1, 0.5], mirror: [1, 2, 3, 4] }
  const { value, rayleigh, change } = await iterate(h, 40)
  assert.ok(
    Math.abs(value - 6) < 1e-4 && Math.abs(rayleigh + 6) < 1e-4 && change < 1e-6,
    `${value}, ${rayleigh}, ${change}`,
  )
})

test('a direction goes on where it was left: ten iterations are seven and three', async () => {
  const h = { values: [5, -4, 3, 1], mirror: [3, 1, 4, 1] }
  const seven = await iterate(h, 7)
  assert.equal((await iterate(h, 3, seven.direction)).value, (await iterate(h, 10)).value)
})

test('without curvature the estimate is 0 and no number is lost', async () => {
  const flat = await iterate({ values: [0, 0], mirror: [1, 1] }, 5)
  assert.deepEqual([flat.value, flat.rayleigh, flat.change, flat.iterations], [0, 0, 0, 1])
})

test('it ends early where nothing changes any more, and says so', async () => {
  const h = { values: [8, 1], mirror: [1, 2] }
  const { iterations, change } = await powerIteration(
    v => Promise.resolve(vector(product(h)(v.w.data))),
    randomDirection(vector([1, 1]), 3),
    { iterations: 1000 },
  )
  assert.ok(iterations < 30 && change <= 1e-4, `${iterations} iterations, ${change}`)
})

test('a direction is one of its seed, in every leaf another', () => {
  const like = { a: vector(new Float32Array(8)), b: vector(new Float32Array(8)) }
  assert.deepEqual(randomDirection(like, 1), randomDirection(like, 1))
  assert.notDeepEqual(randomDirection(like, 1), randomDirection(like, 2))
  const { a, b } = randomDirection(like, 1)
  assert.notDeepEqual(a.w.data, b.w.data)
  assert.ok(a.w.data.some(x => x < 0) && a.w.data.some(x => x > 0))
})

test('a weighted sum is one of all terms', () => {
  assert.deepEqual(
    weightedSum([
      [vector([1, 2]), 0.5],
      [vector([4, 8]), 0.25],
      [vector([1, 0]), -1],
    ]),
    vector([0.5, 3]),
  )
})

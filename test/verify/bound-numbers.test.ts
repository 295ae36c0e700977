import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  gramMatrix,
  largestEigenvalueBound,
  provesBelow,
  type Enclosure,
  type WeightedRows,
} from '../../src/verify/bound/index.ts'
import { addUp, gamma, minusDown, nextDown, nextUp, overUp, timesUp } from '../../src/verify/bound/rounding.ts'

/** Exact arithmetic: a float64 is a whole number of 2 ** -1074. */
const unit = 1074n
const exact = (x: number): bigint => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, x)
  const bits = view.getBigUint64(0)
  const exponent = (bits >> 52n) & 2047n
  const fraction = bits & ((1n << 52n) - 1n)
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n)
  return x < 0 ? -size : size
}

const reals = fc.double({ min: -1e9, max: 1e9, noNaN: true })
const positive = fc.double({ min: 1e-9, max: 1e9, noNaN: true })
/** A law of an operation, and the same operation without its rounding, which the law must refute. */
const law = (
  name: string,
  of: fc.Arbitrary<number>,
  rounded: (a: number, b: number) => number,
  plain: (a: number, b: number) => number,
  holds: (a: number, b: number, result: number) => boolean,
): void => {
  const property = (f: (a: number, b: number) => number) => fc.property(of, of, (a, b) => holds(a, b, f(a, b)))
  test(name, () => {
    fc.assert(property(rounded), { numRuns: 1000 })
  })
  test(`${name}: rounding to the nearest is refuted`, () => {
    assert.equal(fc.check(property(plain), { numRuns: 1000, endOnFailure: true }).failed, true)
  })
}
law(
  'a sum rounded up is at least the sum',
  reals,
  addUp,
  (a, b) => a + b,
  (a, b, sum) => exact(sum) >= exact(a) + exact(b),
)
law(
  'a product rounded up is at least the product',
  reals,
  timesUp,
  (a, b) => a * b,
  (a, b, c) => exact(c) << unit >= exact(a) * exact(b),
)
law(
  'a quotient rounded up is at least the quotient',
  positive,
  overUp,
  (a, b) => a / b,
  (a, b, c) => exact(c) * exact(b) >= exact(a) << unit,
)
law(
  'a difference rounded down is at most the difference',
  reals,
  minusDown,
  (a, b) => a - b,
  (a, b, d) => exact(d) <= exact(a) - exact(b),
)

test('nothing lies between a number and the next one', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), x => {
      const above = nextUp(x)
      const middle = x / 2 + above / 2
      return (
        above > x &&
        (middle === x || middle === above || !Number.isFinite(above) || Math.abs(x) < 1e-300) &&
        nextDown(above) === (x === 0 ? 0 : x)
      )
    }),
  )
  assert.deepEqual(
    [nextUp(1), nextDown(1), nextUp(0), nextDown(0), nextUp(Infinity)],
    [1 + 2 ** -52, 1 - 2 ** -53, 2 ** -1074, -(2 ** -1074), Infinity],
  )
  assert.ok(gamma(1000) > 1000 * 2 ** -53 && gamma(1000) < 1001 * 2 ** -53)
})

/** Tests exactly whether bound − G is positive definite: Bareiss' elimination, whose pivots are the leading minors. */
const isBelow = (size: number, data: ArrayLike<number>, bound: bigint): boolean => {
  const m = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_unused, j) => (i === j ? bound : 0n) - exact(data[i * size + j]!)),
  )
  let last = 1n
  for (let k = 0; k < size; k++) {
    const pivot = m[k]![k]!
    if (pivot <= 0n) return false
    for (let i = k + 1; i < size; i++)
      for (let j = k + 1; j < size; j++) m[i]![j] = (m[i]![j]! * pivot - m[i]![k]! * m[k]![j]!) / last
    last = pivot
  }
  return true
}

/** The largest float64 that is not above the largest eigenvalue, by bisection between floats. */
const truth = (size: number, data: ArrayLike<number>): number => {
  let low = 0
  let high = 1
  if (Array.from(data).every(x => x === 0)) return 0
  while (!isBelow(size, data, exact(high))) high *= 2
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (isBelow(size, data, exact(middle))) high = middle
    else low = middle
  }
  return low
}

const features = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 })).chain(([width, rows]) =>
  fc.record({
    width: fc.constant(width),
    features: fc
      .array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: width * rows, maxLength: width * rows })
      .map(data => Float32Array.from(data, x => (Math.abs(x) < 1e-6 ? 0 : x))),
    weights: fc.array(fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 1e-3, max: 3, noNaN: true })), {
      minLength: rows,
      maxLength: rows,
    }),
  }),
)

/** The Gram matrix, times 2 ** (3 * 1074). */
const exactGram = ({ width, features: x, weights }: WeightedRows): readonly bigint[] => {
  const at = (row: number, i: number): bigint => exact(x[row * width + i]!)
  return Array.from({ length: width * width }, (_, ij) =>
    Array.from(weights).reduce(
      (sum, w, row) => sum + exact(w) * at(row, Math.floor(ij / width)) * at(row, ij % width),
      0n,
    ),
  )
}

const gramLaw = (change: (gram: Enclosure) => Enclosure) =>
  fc.property(features, rows => {
    const { size, data, radius } = change(gramMatrix(rows.width, [rows]))
    const due = exactGram(rows)
    // ‖E‖² in units of 2 ** (-6 * 1074)
    const square = due.reduce((sum, g, i) => {
      const off = (exact(data[i]!) << (2n * unit)) - g
      return sum + off * off
    }, 0n)
    return size === rows.width && square <= (exact(radius) * exact(radius)) << (4n * unit)
  })
test('a Gram matrix is within its radius of the exact one', () => {
  fc.assert(
    gramLaw(gram => gram),
    { numRuns: 300 },
  )
})
for (const [mutant, change] of [
  ['a radius of 0', (gram: Enclosure): Enclosure => ({ ...gram, radius: 0 })],
  [
    'a matrix that is off by 1e-13',
    (gram: Enclosure): Enclosure => ({ ...gram, data: gram.data.map(x => x * (1 + 1e-13)) }),
  ],
] as const) {
  test(`a Gram matrix is within its radius of the exact one: ${mutant} is refuted`, () => {
    assert.equal(fc.check(gramLaw(change), { numRuns: 300, endOnFailure: true }).failed, true)
  })
}

/**
 * No bound is proved that is not above the largest eigenvalue of every matrix in the enclosure: tried at floats around
 * the true one.
 */
const soundness = (proves: Proves) =>
  fc.property(features, fc.integer({ min: 0, max: 4 }), fc.constantFrom(0, 0.5), (rows, ulps, radius) => {
    const { size, data } = gramMatrix(rows.width, [rows])
    const largest = truth(size, data)
    const bound = Array.from({ length: ulps }).reduce<number>(nextDown, nextUp(largest + radius))
    return (
      !proves({ size, data, radius }, bound) ||
      (exact(bound) > exact(radius) && isBelow(size, data, exact(bound) - exact(radius)))
    )
  })
type Proves = (of: Enclosure, bound: number) => boolean
/** A Cholesky decomposition that is taken at its word. */
const unguarded = ({ size, data }: Enclosure, bound: number): boolean => {
  const l = data.map((x, i) => (i % (size + 1) === 0 ? bound - x : -x))
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = l[i * size + j]!
      for (let k = 0; k < j; k++) rest -= l[i * size + k]! * l[j * size + k]!
      if (i === j && !(rest > 0)) return false
      l[i * size + j] = i === j ? Math.sqrt(rest) : rest / l[j * size + j]!
    }
  }
  return true
}
/**
 * Matrices 2 − M around Higham's kind of trouble: the last pivot of M loses the first of its subtrahends, many squares
 * below half a unit of its last place, and so stays positive after the last subtraction although it should not.
 */
const losing = (proves: Proves) =>
  fc.property(fc.integer({ min: 1, max: 30 }), fc.double({ min: 0.5, max: 0.99, noNaN: true }), (small, part) => {
    const size = small + 2
    const data = new Float64Array(size * size)
    for (let i = 0; i < size; i++) data[i * size + i] = 1
    for (let i = 0; i < size - 1; i++)
      data[i * size + size - 1] = data[(size - 1) * size + i] = i < small ? -part * 2 ** -27 : -(1 - 2 ** -52)
    return !proves({ size, data, radius: 0 }, 2) || isBelow(size, data, exact(2))
  })
for (const [law, property, mutant, wrong] of [
  [
    'what is proved is above the largest eigenvalue',
    soundness,
    'a radius that is left out',
    (of, bound) => provesBelow({ ...of, radius: 0 }, bound),
  ],
  [
    'what is proved is above the largest eigenvalue, where Cholesky loses what it subtracts',
    losing,
    'a decomposition without a margin',
    unguarded,
  ],
] as readonly (readonly [string, typeof losing | typeof soundness, string, Proves])[]) {
  test(law, () => {
    fc.assert(property(provesBelow) as fc.IProperty<unknown[]>, { numRuns: 200 })
  })
  test(`${law}: ${mutant} is refuted`, () => {
    assert.equal(
      fc.check(property(wrong) as fc.IProperty<unknown[]>, { numRuns: 200, endOnFailure: true }).failed,
      true,
    )
  })
}

const tightness = (bound: (of: Enclosure) => number) =>
  fc.property(features, rows => {
    const gram = gramMatrix(rows.width, [rows])
    const largest = truth(gram.size, gram.data)
    const found = bound(gram)
    return found >= largest && found <= (largest + gram.radius) * (1 + 1e-7)
  })
test('the bound is never below the largest eigenvalue, and at most 1e-7 above it', () => {
  fc.assert(tightness(largestEigenvalueBound), { numRuns: 200 })
})
for (const factor of [0.999999, 1.000001]) {
  test(`the bound is never below the largest eigenvalue, and at most 1e-7 above it: ${factor} of it is refuted`, () => {
    assert.equal(
      fc.check(
        tightness(of => factor * largestEigenvalueBound(of)),
        { numRuns: 200, endOnFailure: true },
      ).failed,
      true,
    )
  })
}

test('close eigenvalues are told apart: of a path of 150 nodes, the largest is 2 + 2 cos(π / 151)', () => {
  const size = 150
  const data = Float64Array.from({ length: size * size }, (_, at) => {
    const apart = Math.abs(Math.floor(at / size) - (at % size))
    return apart === 0 ? 2 : apart === 1 ? -1 : 0
  })
  const found = largestEigenvalueBound({ size, data, radius: 0 })
  const largest = 2 + 2 * Math.cos(Math.PI / (size + 1))
  assert.ok(found >= largest && found <= largest * (1 + 1e-7), `${found} for ${largest}`)
})
test('a matrix of zeros has the bound 0, and one that is not finite has none', () => {
  assert.equal(largestEigenvalueBound({ size: 3, data: new Float64Array(9), radius: 0 }), 0)
  assert.equal(largestEigenvalueBound({ size: 1, data: Float64Array.of(Number.NaN), radius: 0 }), Infinity)
})

import { uniform } from '../../tensor/index.ts'
import { addUp, gamma, minusDown, nextUp, overUp, timesUp } from './rounding.ts'

/** A symmetric matrix, row by row, within `radius` (in spectral norm) of the exact one. */
export interface Enclosure {
  readonly size: number
  readonly data: Float64Array
  readonly radius: number
}

/** The factor of Cholesky's decomposition in floating point, row by row into `l`; false if a pivot is not positive. */
const cholesky = (n: number, l: Float64Array): boolean => {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = l[i * n + j]!
      for (let k = 0; k < j; k++) rest -= l[i * n + k]! * l[j * n + k]!
      if (j < i) l[i * n + j] = rest / l[j * n + j]!
      else if (rest > 0) l[i * n + i] = Math.sqrt(rest)
      else return false
    }
  }
  return true
}

/**
 * Tests whether a floating-point Cholesky decomposition proves that no eigenvalue of any matrix in the enclosure
 * exceeds `bound`. False proves nothing.
 *
 * If the decomposition of A runs to completion, its factor obeys L Lᵀ = A + E with |E| ≤ γ |L| |L|ᵀ for γ = γₙ₊₁
 * (Higham 2002, theorem 10.3), and so ‖E‖ ≤ γ ‖L‖²_F ≤ γ / (1 − γ) · tr A. Hence A + c is positive semidefinite for
 * every c ≥ γ / (1 − γ) · tr A (S. M. Rump, "Verification of positive definiteness", BIT Numerical Mathematics 46
 * (2006), 433–452), to which underflow adds less than 4 n (2 n + 3 + max aᵢᵢ) 2⁻¹⁰⁷⁴. Here A = bound − radius − c − the
 * matrix, its diagonal rounded down.
 * @example provesBelow({ size: 1, data: Float64Array.of(2), radius: 0 }, 2.0001) // true
 */
export const provesBelow = ({ size, data, radius }: Enclosure, bound: number): boolean => {
  if (!(bound >= 0 && bound < Infinity && radius >= 0)) return false
  const diagonal = Array.from({ length: size }, (_, i) => data[i * size + i]!)
  const gaps = diagonal.map(g => Math.max(0, nextUp(bound - g)))
  const trace = gaps.reduce(addUp, 0)
  const largest = Math.max(...gaps)
  const factor = gamma(size + 1)
  const underflow = timesUp(timesUp(4 * size, nextUp(2 * size + 3 + largest)), Number.MIN_VALUE)
  const margin = addUp(timesUp(overUp(factor, minusDown(1, factor)), trace), underflow)
  const shifted = minusDown(minusDown(bound, radius), margin)
  const matrix = data.map(x => -x)
  diagonal.forEach((g, i) => {
    matrix[i * size + i] = minusDown(shifted, g)
  })
  return cholesky(size, matrix)
}

/**
 * The Rayleigh quotient of power iteration from a random vector, for a positive semidefinite matrix: an estimate of its
 * largest eigenvalue, from below.
 */
const approximately = ({ size, data }: Enclosure): number => {
  let x = Float64Array.from(uniform(0, 0, size))
  let value = 0
  for (let iteration = 0; iteration < 1000; iteration++) {
    const y = new Float64Array(size)
    for (let i = 0; i < size; i++) {
      let sum = 0
      for (let j = 0; j < size; j++) sum += data[i * size + j]! * x[j]!
      y[i] = sum
    }
    const along = x.reduce((sum, v, i) => sum + v * y[i]!, 0) / x.reduce((sum, v) => sum + v * v, 0)
    const largest = y.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    if (!(largest > 0) || Math.abs(along - value) <= 1e-13 * along) return Math.max(value, along, 0) || 0
    value = along
    x = y.map(v => v / largest)
  }
  return Math.max(value, 0)
}

const tightness = 1e-8

/**
 * A proved upper bound of the largest eigenvalue of every matrix in an enclosure around a positive semidefinite one,
 * too large by a factor of at most about 1 + 1e-8. Numbers are guessed, and {@link provesBelow} proves or rejects each
 * guess. The result is the same on every machine: only + − × ÷ √ of float64 are used.
 */
export const largestEigenvalueBound = (of: Enclosure): number => {
  const { size, data, radius } = of
  if (radius === 0 && data.every(x => x === 0)) return 0
  const guess = approximately(of)
  const slack = 2 * (radius + size * (size + 2) * 2 ** -53 * guess) + 1e-10 * guess + Number.MIN_VALUE
  let low = guess
  let high = guess + slack
  while (!provesBelow(of, high)) {
    if (!(high < Infinity)) return Infinity
    low = high
    high = guess + 8 * (high - guess)
  }
  while (low > guess && high - low > tightness * high + slack) {
    const middle = low + (high - low) / 2
    if (provesBelow(of, middle)) high = middle
    else low = middle
  }
  return high
}

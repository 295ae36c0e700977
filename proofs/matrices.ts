import fc from 'fast-check'
import type { Numbers } from '../src/tensor/index.ts'

/** Random matrices whose spectra are known because they are built from them. */

/** Sixteenths in [-2, 2]: they shrink well, and neither overflow nor underflow when multiplied. */
const entry = fc.integer({ min: -32, max: 32 }).map(k => k / 16)
export const matrix = (rows: number, columns: number, of: fc.Arbitrary<number> = entry): fc.Arbitrary<Numbers> =>
  fc.array(of, { minLength: rows * columns, maxLength: rows * columns }).map(data => ({ sizes: [rows, columns], data: Float64Array.from(data) }))

/** H = I − 2vvᵀ/vᵀv, orthogonal and symmetric: the reflection that v stands for (Householder 1958). */
const reflection = (v: readonly number[]): ((i: number, j: number) => number) => {
  const square = v.reduce((sum, x) => sum + x * x, 0)
  return (i, j) => Number(i === j) - (square === 0 ? 0 : 2 * v[i]! * v[j]! / square)
}
const direction = (n: number): fc.Arbitrary<readonly number[]> => fc.array(entry, { minLength: n, maxLength: n })

export interface Spectral { readonly matrix: Numbers; readonly largest: number; readonly top: readonly number[] }
const spectrum = (n: number): fc.Arbitrary<readonly number[]> =>
  fc.array(fc.integer({ min: 0, max: 32 }).map(k => k / 8), { minLength: n, maxLength: n })
  // the first is the largest, and positive
  .map(values => [Math.max(0.125, ...values), ...values.slice(1)])

/** A = H diag(λ) H, positive semidefinite; its largest eigenvalue is λ₀, along the first column of H. */
export const semidefinite = (n: number): fc.Arbitrary<Spectral> => fc.tuple(direction(n), spectrum(n)).map(([v, values]) => {
  const h = reflection(v), at = (i: number, j: number): number => values.reduce((sum, value, k) => sum + h(i, k) * value * h(k, j), 0)
  return {
    matrix: { sizes: [n, n], data: Float64Array.from({ length: n * n }, (_, k) => at(Math.floor(k / n), k % n)) },
    largest: values[0]!, top: values.map((_, i) => h(i, 0)),
  }
})

/** X = H diag(σ) K with reflections H and K; its largest singular value is σ₀. */
export const withSingularValues = (rows: number, columns: number): fc.Arbitrary<Spectral> =>
  fc.tuple(direction(rows), direction(columns), spectrum(Math.min(rows, columns))).map(([u, v, values]) => {
    const h = reflection(u), k = reflection(v)
    const at = (i: number, j: number): number => values.reduce((sum, value, s) => sum + h(i, s) * value * k(s, j), 0)
    return {
      matrix: { sizes: [rows, columns], data: Float64Array.from({ length: rows * columns }, (_, n) => at(Math.floor(n / columns), n % columns)) },
      largest: values[0]!, top: Array.from({ length: columns }, (_, j) => k(0, j)),
    }
  })

/** The Frobenius norm. */
export const norm = (...parts: readonly Numbers[]): number => Math.hypot(...parts.flatMap(({ data }) => [...data]))

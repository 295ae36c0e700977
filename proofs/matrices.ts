import fc from 'fast-check'
import type { Numbers } from '../src/tensor/index.ts'

/** Random matrices whose spectra are known because they are built from them, as a whole and in a chosen block. */

/**
 * Sixteenths in [-2, 2]: they shrink well, are exact in float32, and neither overflow nor underflow when multiplied.
 */
export const sixteenth = fc.integer({ min: -32, max: 32 }).map(k => k / 16)
export const matrix = (rows: number, columns: number, of: fc.Arbitrary<number> = sixteenth): fc.Arbitrary<Numbers> =>
  fc
    .array(of, { minLength: rows * columns, maxLength: rows * columns })
    .map(data => ({ sizes: [rows, columns], data: Float64Array.from(data) }))
export const vector = (length: number, of: fc.Arbitrary<number> = sixteenth): fc.Arbitrary<readonly number[]> =>
  fc.array(of, { minLength: length, maxLength: length })

/** The Frobenius norm. */
export const norm = (...parts: readonly Numbers[]): number =>
  Math.sqrt(parts.reduce((sum, { data }) => data.reduce((s, x) => s + x * x, sum), 0))

const filled = (rows: number, columns: number, at: (i: number, j: number) => number): Numbers => ({
  sizes: [rows, columns],
  data: Float64Array.from({ length: rows * columns }, (_, k) => at(Math.floor(k / columns), k % columns)),
})

/** Entry (i, j) of H = I − 2vvᵀ/vᵀv, orthogonal and symmetric: the reflection that v stands for (Householder 1958). */
type Entry = (i: number, j: number) => number
const reflection = (v: readonly number[]): Entry => {
  const square = v.reduce((sum, x) => sum + x * x, 0)
  return (i, j) => Number(i === j) - (square === 0 ? 0 : (2 * v[i]! * v[j]!) / square)
}
/** Entry (i, j) of H diag(d) Kᵀ. */
const between =
  (h: Entry, d: readonly number[], k: Entry): Entry =>
  (i, j) =>
    d.reduce((sum, value, s) => sum + h(i, s) * value * k(j, s), 0)

/**
 * The matrices are rounded to float32, so every target starts from the same ones. Rounding moves an eigenvalue or a
 * singular value of M, and of any block of M, by at most ‖E‖ ≤ 2⁻²⁴‖M‖ (Weyl 1912; ‖·‖ is the Frobenius norm), and
 * building M in float64 by at most γ₁₀₀‖M‖ < 2⁻⁴⁰‖M‖: the stated bounds are moved outward by both.
 */
const rounded = ({ sizes, data }: Numbers): Numbers => ({ sizes, data: data.map(Math.fround) })
const outward = (value: number, m: Numbers): number => value + (2 ** -24 + 2 ** -40) * norm(m)

/** The indices that are chosen, those that are not, and the position of each in its group. */
const places = (chosen: readonly boolean[]) => {
  const all = chosen.map((_, i) => i)
  const inside = all.filter(i => chosen[i])
  const outside = all.filter(i => !chosen[i])
  return { inside, outside, rank: all.map(i => (chosen[i] ? inside : outside).indexOf(i)) }
}
const largest = (values: readonly number[]): number => Math.max(0, ...values.map(Math.abs))

/**
 * Bounds: of all coordinates, of the chosen ones (L_P), of the chosen ones from above alone or 0, of those that are not
 * chosen.
 */
export interface Curvature {
  readonly whole: number
  readonly part: number
  readonly above: number
  readonly outside: number
}
export const mapped = ({ whole, part, above, outside }: Curvature, f: (bound: number) => number): Curvature => ({
  whole: f(whole),
  part: f(part),
  above: f(above),
  outside: f(outside),
})
export const flat: Curvature = { whole: 0, part: 0, above: 0, outside: 0 }

/**
 * A matrix, and bounds on its largest singular value, or eigenvalue in absolute value, and on those of its chosen
 * columns, or block.
 */
export interface Spectral extends Curvature {
  readonly matrix: Numbers
}

/** A unit vector along which `part` is reached, in the chosen coordinates; zeros elsewhere. */
interface Topped {
  readonly top: readonly number[]
}

const singular = fc.integer({ min: 0, max: 24 }).map(k => k / 8)

/**
 * X = [X_S X_T] with X_S = H diag(s) K_S and X_T = H diag(t) K_T, columns S chosen: XXᵀ = H diag(sᵢ² + tᵢ²) H, so that
 * σmax(X)² = max(sᵢ² + tᵢ²) while σmax(X_S) = max sᵢ; and X_SᵀX_T is not zero.
 */
export const withSingularValues = (rows: number, chosen: readonly boolean[]): fc.Arbitrary<Spectral> => {
  const { inside, outside, rank } = places(chosen)
  const values = (n: number): fc.Arbitrary<readonly number[]> => vector(Math.min(rows, n), singular)
  const directions = fc.tuple(vector(rows), vector(inside.length), vector(outside.length))
  return fc.tuple(directions, values(inside.length), values(outside.length)).map(([[u, v, w], s, t]) => {
    const h = reflection(u)
    const kS = reflection(v)
    const xS = between(h, s, kS)
    const xT = between(h, t, reflection(w))
    const x = rounded(filled(rows, chosen.length, (i, j) => (chosen[j] ? xS : xT)(i, rank[j]!)))
    const part = outward(largest(s), x)
    const squares = Array.from({ length: rows }, (_, i) => (s[i] ?? 0) ** 2 + (t[i] ?? 0) ** 2)
    return {
      matrix: x,
      whole: outward(Math.sqrt(largest(squares)), x),
      part,
      above: part,
      outside: outward(largest(t), x),
    }
  })
}

/**
 * A = [A_SS A_ST; A_TS A_TT] with A_SS = K_S diag(a) K_S, A_TT = K_T diag(b) K_T, A_ST = K_S diag(c) K_T: its
 * eigenvalues are those of the pairs [a c; c b], (a + b)/2 ± √((a − b)²/4 + c²), and the rest of a or b, while those of
 * A_SS are a. It is convex if a, b ≥ 0 and c² ≤ ab.
 */
export const symmetric = (chosen: readonly boolean[], convex: boolean): fc.Arbitrary<Spectral & Topped> => {
  const { inside, outside, rank } = places(chosen)
  const eigenvalue = convex ? singular : fc.integer({ min: -24, max: 24 }).map(k => k / 8)
  const pairs = Math.min(inside.length, outside.length)
  const directions = fc.tuple(vector(inside.length), vector(outside.length))
  const eigenvalues = fc.tuple(vector(inside.length, eigenvalue), vector(outside.length, eigenvalue))
  return fc
    .tuple(
      directions,
      eigenvalues,
      vector(
        pairs,
        fc.integer({ min: -16, max: 16 }).map(k => k / 16),
      ),
    )
    .map(([[v, w], [a, b], coupling]) => {
      const kS = reflection(v)
      const kT = reflection(w)
      const c = coupling.map((x, i) => x * (convex ? Math.sqrt(a[i]! * b[i]!) : 3))
      const ss = between(kS, a, kS)
      const tt = between(kT, b, kT)
      const st = between(kS, c, kT)
      const entry: Entry = (i, j) => {
        const [k, l] = [rank[i]!, rank[j]!]
        return chosen[i] ? (chosen[j] ? ss(k, l) : st(k, l)) : chosen[j] ? st(l, k) : tt(k, l)
      }
      const A = rounded(filled(chosen.length, chosen.length, (i, j) => entry(Math.min(i, j), Math.max(i, j))))
      const ofPairs = [
        ...c.flatMap((x, i) => {
          const middle = (a[i]! + b[i]!) / 2
          const radius = Math.hypot((a[i]! - b[i]!) / 2, x)
          return [middle - radius, middle + radius]
        }),
        ...a.slice(pairs),
        ...b.slice(pairs),
      ]
      const first = a.map(Math.abs).indexOf(largest(a))
      return {
        matrix: A,
        whole: outward(largest(ofPairs), A),
        part: outward(largest(a), A),
        above: outward(Math.max(0, ...a), A),
        outside: outward(largest(b), A),
        top: chosen.map((is, j) => (is ? kS(rank[j]!, first) : 0)),
      }
    })
}

/** Float64 arithmetic that never errs downwards: every result is rounded to the next number above. */

const bits = new DataView(new ArrayBuffer(8))

/** The least float64 above a number. @example nextUp(1) // 1 + 2 ** -52 */
export const nextUp = (x: number): number => {
  if (!(x < Infinity)) return x
  if (x === 0) return Number.MIN_VALUE
  bits.setFloat64(0, x)
  bits.setBigInt64(0, bits.getBigInt64(0) + (x > 0 ? 1n : -1n))
  return bits.getFloat64(0)
}
/** The largest float64 below a number. */
export const nextDown = (x: number): number => -nextUp(-x)

/** An upper bound of a + b, a b, a / b. */
export const addUp = (a: number, b: number): number => nextUp(a + b)
export const timesUp = (a: number, b: number): number => nextUp(a * b)
export const overUp = (a: number, b: number): number => nextUp(a / b)
/** A lower bound of a − b. */
export const minusDown = (a: number, b: number): number => nextDown(a - b)

/** Half the distance from 1 to the next float64: the largest relative error of one rounding. */
const unitRoundoff = 2 ** -53

/**
 * An upper bound of γₙ = n u / (1 − n u), which bounds the relative error of n successive roundings (Higham 2002, lemma
 * 3.1).
 */
export const gamma = (n: number): number => {
  const nu = timesUp(n, unitRoundoff)
  return overUp(nu, minusDown(1, nu))
}

/** Float64 arithmetic that never errs below: every operation is rounded to the next number above. */

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

/** At least a + b, a b, a / b. */
export const addUp = (a: number, b: number): number => nextUp(a + b)
export const timesUp = (a: number, b: number): number => nextUp(a * b)
export const overUp = (a: number, b: number): number => nextUp(a / b)
/** At most a − b. */
export const minusDown = (a: number, b: number): number => nextDown(a - b)

/** Half the distance from 1 to the next float64: what one rounding is off by, relatively. */
export const unitRoundoff = 2 ** -53

/** At least γₙ = n u / (1 − n u), which bounds what n roundings in a row are off by (Higham 2002, lemma 3.1). */
export const gamma = (n: number): number => {
  const nu = timesUp(n, unitRoundoff)
  return overUp(nu, minusDown(1, nu))
}

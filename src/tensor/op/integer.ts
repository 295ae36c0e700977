/**
 * Arithmetic of int32 with one meaning for every target: that of XLA, which agrees with NumPy and two's complement
 * except for division by 0.
 */

/** The 32 lowest bits of a whole number. */
export const wrapped = (x: number): number => x | 0

/**
 * a / b, truncated towards 0; a / 0 is -1, and the least integer divided by -1 is itself.
 * @example divided(-7, 2) is -3
 */
export const divided = (a: number, b: number): number => (b === 0 ? -1 : wrapped(Math.trunc(a / b)))

/**
 * a ^ b by multiplication; for a negative b, the fraction truncated towards 0.
 * @example power(-1, -3) is -1, power(2, -1) is 0
 */
export const power = (a: number, b: number): number => {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : 0
  let result = 1
  let square = a
  for (let bits = b; bits > 0; bits >>>= 1) {
    if (bits & 1) result = Math.imul(result, square)
    square = Math.imul(square, square)
  }
  return result
}

const least = -(2 ** 31)
const largest = 2 ** 31 - 1

/**
 * A real as an integer, truncated towards 0: NaN becomes 0, and numbers beyond the range become its bounds.
 * @example truncated(3e9) is 2147483647
 */
export const truncated = (x: number): number =>
  Number.isNaN(x) ? 0 : Math.max(least, Math.min(largest, Math.trunc(x)))

/** Tests whether a number is an int32. */
export const isInteger = (x: number): boolean => Number.isInteger(x) && x >= least && x <= largest

/**
 * The remainder of a / b with the sign of b, exactly: that of a quotient rounded down.
 * @example modulo(-7, 3) is 2, modulo(7, -3) is -2
 */
export const modulo = (a: number, b: number): number => {
  const rest = a % b
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest
}

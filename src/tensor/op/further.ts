import { typed } from '../node.ts'
import { binary } from './binary.ts'
import { pointwise } from './elementwise.ts'
import { functions } from './functions.ts'
import { unary, type Unary } from './unary.ts'

/** Further functions of real numbers, element by element. */

/** The tangent of an angle in radians, elementwise. @example tan(angle) */
export const tan = unary(functions.tan)
/** The angle in [−π/2, π/2] with this sine, elementwise; NaN beyond ±1. @example asin(clip(x, -1, 1)) */
export const asin = unary(functions.asin)
/** The angle in [0, π] with this cosine, elementwise; NaN beyond ±1. @example acos(clip(x, -1, 1)) */
export const acos = unary(functions.acos)
/** The angle in (−π/2, π/2) with this tangent, elementwise. @example atan(x) */
export const atan = unary(functions.atan)
/**
 * The angle in [−π, π] of the point with the ordinate `y` and the abscissa `x`, broadcast from the right; at the origin
 * it has no derivative (NaN).
 * @example atan2(y, x)
 */
export const atan2 = binary<'atan2', 'same'>(functions.atan2)
/** The hyperbolic sine, elementwise. @example sinh(x) */
export const sinh = unary(functions.sinh)
/** The hyperbolic cosine, elementwise. @example log(cosh(error)) */
export const cosh = unary(functions.cosh)
/** The number with this hyperbolic sine, elementwise. @example asinh(x) */
export const asinh = unary(functions.asinh)
/** The number with this hyperbolic cosine, elementwise; NaN below 1. @example acosh(maximum(x, 1)) */
export const acosh = unary(functions.acosh)
/** The number with this hyperbolic tangent, elementwise; ±∞ at ±1, NaN beyond. @example atanh(correlation) */
export const atanh = unary(functions.atanh)
/** log(1 + x), elementwise, precise near 0; −∞ at −1, NaN below. @example log1p(counts) */
export const log1p = unary(functions.log1p)
/** eˣ − 1, elementwise, precise near 0. @example expm1(logRatio) */
export const expm1 = unary(functions.expm1)
/** The logarithm to the base 2, elementwise; −∞ at 0, NaN below. @example log2(probabilities) */
export const log2: Unary = x => typed(pointwise.div(pointwise.log(x), Math.LN2))
/** 1/x, elementwise. @example mul(x, reciprocal(norm)) */
export const reciprocal: Unary = x => typed(pointwise.div(1, x))
/**
 * The remainder of a/b, broadcast from the right, with the sign of b, as in Python and `jnp.remainder`: what is left of
 * a after b times the quotient rounded down, computed exactly. It is NaN if b is 0, but a if both are integers.
 * @example remainder(angle, 2 * Math.PI)
 */
export const remainder = binary<'remainder', 'same'>(functions.remainder)

import { typed, type Tensor } from '../node.ts'
import type { Shape } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import type { VerbOf } from './verb.ts'

/** Functions of one tensor, element by element. */

/** An elementwise function of a float32 tensor; the shape is unchanged. */
export type Unary = <S extends Shape>(x: Tensor<S>) => Tensor<S>
/** An elementwise function of a tensor of numbers; shape and dtype are unchanged. */
export type Numeric = <S extends Shape, D extends 'f32' | 'i32'>(x: Tensor<S, D>) => Tensor<S, D>

/** The typed function of a verb with one operand. */
export const unary =
  (verb: VerbOf[1]): Unary =>
  x =>
    typed(verb(x))
/** The same for an op that takes integers too. */
const numeric =
  (verb: VerbOf[1]): Numeric =>
  x =>
    typed(verb(x))
/** −x, elementwise; the least integer is its own opposite. @example neg(x) */
export const neg = numeric(pointwise.neg)
/** eˣ, elementwise. @example exp(logits) */
export const exp = unary(pointwise.exp)
/** The natural logarithm, elementwise; −∞ at 0, NaN below. @example log(probabilities) */
export const log = unary(pointwise.log)
/** The square root, elementwise; NaN below 0. @example sqrt(mean(square(x), [-1])) */
export const sqrt = unary(pointwise.sqrt)
/** 1/√x, elementwise. @example mul(x, rsqrt(variance)) */
export const rsqrt = unary(pointwise.rsqrt)
/** The hyperbolic tangent, elementwise. @example tanh(matmul(x, w)) */
export const tanh = unary(pointwise.tanh)
/** 1/(1 + e⁻ˣ), elementwise. @example mul(x, sigmoid(gate)) */
export const sigmoid = unary(pointwise.sigmoid)
/** |x|, elementwise; its derivative at 0 is 0. @example mean(abs(sub(a, b))) */
export const abs = numeric(pointwise.abs)
/** −1, 0 or 1, elementwise; no gradient flows through it. @example mul(sign(gradient), -1e-3) */
export const sign = numeric(pointwise.sign)
/** The sine of an angle in radians, elementwise. @example sin(mul(range('seq'), frequency)) */
export const sin = unary(pointwise.sin)
/** The cosine of an angle in radians, elementwise. @example cos(mul(range('seq'), frequency)) */
export const cos = unary(pointwise.cos)
/** The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise. @example erf(x) */
export const erf = unary(pointwise.erf)
/** The same value, without a gradient. @example sub(logits, stopGradient(max(logits, [-1], true))) */
export const stopGradient = <S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> =>
  typed(pointwise.stopGradient(x))
/** x², elementwise; integers wrap around at 32 bits. @example mean(square(sub(a, b))) */
export const square: Numeric = x => typed(pointwise.mul(x, x))
/** max(0, x), elementwise; its derivative at 0 is 0. @example relu(matmul(x, w)) */
export const relu: Numeric = x => typed(pointwise.maximum(0, x))

import { savesOperands } from '../autograd.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import type { Unary } from '../op/unary.ts'
import type { Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

/** x => x σ(x) (Elfwing et al. 2017). */
export const siluOp: Op<object> = composite<object>({
  name: 'silu',
  kind: 'elementwise',
  expand: ([x]) => u.mul(x!, u.sigmoid(x!)),
  vjp: ({ inputs: [x] }, dy) => [node(siluGradOp, [dy, x!], {})],
  cheap: true,
  autograd: savesOperands,
})

/** (dy, x) => dy σ (1 + x (1 − σ)). */
export const siluGradOp: Op<object> = composite<object>({
  name: 'siluGrad',
  kind: 'elementwise',
  refuses: ([dy, x]) => unlike('dy', dy!, x!.shape),
  expand: ([dy, x]) => {
    const s = u.sigmoid(x!)
    return u.mul(dy!, u.mul(s, u.add(1, u.mul(x!, u.sub(1, s)))))
  },
  cheap: true,
})

/** x => x Φ(x), with the exact error function (Hendrycks and Gimpel 2016). */
export const geluOp: Op<object> = composite<object>({
  name: 'gelu',
  kind: 'elementwise',
  expand: ([x]) => u.mul(u.mul(x!, 0.5), u.add(1, u.erf(u.mul(x!, Math.SQRT1_2)))),
  vjp: ({ inputs: [x] }, dy) => [node(geluGradOp, [dy, x!], {})],
  cheap: true,
  autograd: savesOperands,
})

/** (dy, x) => dy (Φ(x) + x φ(x)), with the density φ of the normal distribution: only x is kept for it. */
export const geluGradOp: Op<object> = composite<object>({
  name: 'geluGrad',
  kind: 'elementwise',
  refuses: ([dy, x]) => unlike('dy', dy!, x!.shape),
  expand: ([dy, x]) => {
    const below = u.mul(0.5, u.add(1, u.erf(u.mul(x!, Math.SQRT1_2))))
    const density = u.mul(u.exp(u.mul(u.mul(x!, x!), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    return u.mul(dy!, u.add(below, u.mul(x!, density)))
  },
  cheap: true,
})

/** x => log(1 + exp x), of which neither term overflows. The corners of both cancel. */
export const softplusOp: Op<object> = composite<object>({
  name: 'softplus',
  kind: 'elementwise',
  smooth: true,
  expand: ([x]) => u.add(u.maximum(x!, 0), u.log1p(u.exp(u.neg(u.abs(x!))))),
  vjp: ({ inputs: [x] }, dy) => [u.mul(dy, u.sigmoid(x!))],
  cheap: true,
  autograd: savesOperands,
})

const softplusOf = (x: Node): Node => node(softplusOp, [x], {})
/** α (exp x − 1) below 0, x elsewhere; the exponential of a positive number is never formed. */
const exponentialBelow = (x: Node, scale: number, divisor = 1): Node => {
  const below = u.minimum(x, 0)
  return u.select(u.less(0, x), x, u.mul(u.expm1(divisor === 1 ? below : u.div(below, divisor)), scale))
}
/** Bounded on both sides, without a derivative at the bounds. */
const bounded = (x: Node, low: number, high: number): Node => u.minimum(high, u.maximum(low, x))

/** x σ(x), elementwise (Elfwing et al. 2017, also called swish). @example mul(silu(gate), up) */
export const silu: Unary = x => typed(node(siluOp, [x], {}))
/** The form of `gelu`: exact, or the approximation by a hyperbolic tangent that some checkpoints were trained with. */
export interface GeluOptions {
  readonly approximate?: 'none' | 'tanh'
}
const geluByTanh = (x: Node): Node => {
  const inner = u.mul(u.add(x, u.mul(u.mul(x, u.mul(x, x)), 0.044715)), Math.sqrt(2 / Math.PI))
  return u.mul(u.mul(x, 0.5), u.add(1, u.tanh(inner)))
}
/**
 * x Φ(x) with the normal distribution function, elementwise (Hendrycks & Gimpel 2016): exact, or with
 * `approximate: 'tanh'` x (1 + tanh √(2/π) (x + 0.044715 x³)) / 2, as in PyTorch.
 * @example gelu(matmul(x, w), { approximate: 'tanh' })
 */
export const gelu = <S extends Shape>(x: Tensor<S>, { approximate = 'none' }: GeluOptions = {}): Tensor<S> =>
  typed(approximate === 'tanh' ? geluByTanh(x) : node(geluOp, [x], {}))
/** log(1 + eˣ), elementwise, without overflow and precise in both tails. @example softplus(x) */
export const softplus: Unary = x => typed(softplusOf(x))
/** log σ(x), elementwise, without overflow and precise in both tails. @example neg(mean(logSigmoid(margins))) */
export const logSigmoid: Unary = x => typed(u.neg(softplusOf(u.neg(x))))
/** min(max(0, x), 6), elementwise; its derivative at 0 and at 6 is 0, as in PyTorch. @example relu6(matmul(x, w)) */
export const relu6: Unary = x => typed(bounded(x, 0, 6))
/**
 * x above 0, `slope` times x elsewhere (Maas et al. 2013); its derivative at 0 is `slope`, as in PyTorch.
 * @example leakyRelu(matmul(x, w), 0.2)
 */
export const leakyRelu = <S extends Shape>(x: Tensor<S>, slope = 0.01): Tensor<S> =>
  typed(u.select(u.less(0, x), x, u.mul(x, slope)))
/**
 * x above 0, α (eˣ − 1) elsewhere (Clevert et al. 2015); its derivative at 0 is α, as in PyTorch.
 * @example elu(matmul(x, w))
 */
export const elu = <S extends Shape>(x: Tensor<S>, alpha = 1): Tensor<S> => typed(exponentialBelow(x, alpha))
/** The constants with which layers of `selu` keep mean 0 and variance 1. */
const seluAlpha = 1.6732632423543772
const seluScale = 1.0507009873554805
/**
 * λ `elu(x, α)` with the constants of self-normalizing networks (Klambauer et al. 2017).
 * @example selu(matmul(x, w))
 */
export const selu: Unary = x => typed(u.mul(exponentialBelow(x, seluAlpha), seluScale))
/**
 * x above 0, α (eˣᐟᵅ − 1) elsewhere (Barron 2017), whose derivative is continuous.
 * @example celu(matmul(x, w), 0.5)
 */
export const celu = <S extends Shape>(x: Tensor<S>, alpha = 1): Tensor<S> => typed(exponentialBelow(x, alpha, alpha))
/** x tanh(softplus x), elementwise (Misra 2019). @example mish(matmul(x, w)) */
export const mish: Unary = x => typed(u.mul(x, u.tanh(softplusOf(x))))
/** x/(1 + |x|), elementwise. @example softsign(matmul(x, w)) */
export const softsign: Unary = x => typed(u.div(x, u.add(1, u.abs(x))))
/**
 * min(max(low, x), high), elementwise; its derivative at the bounds is 0, as in PyTorch, while that of `clip` is 1.
 * @example hardTanh(matmul(x, w))
 */
export const hardTanh = <S extends Shape>(x: Tensor<S>, low = -1, high = 1): Tensor<S> => typed(bounded(x, low, high))
const hardSigmoidOf = (x: Node): Node => u.div(bounded(u.add(x, 3), 0, 6), 6)
/** relu6(x + 3)/6, elementwise; its derivative at ±3 is 0, as in PyTorch. @example hardSigmoid(matmul(x, w)) */
export const hardSigmoid: Unary = x => typed(hardSigmoidOf(x))
/** x relu6(x + 3)/6, elementwise (Howard et al. 2019). @example hardSwish(matmul(x, w)) */
export const hardSwish: Unary = x => typed(u.mul(x, hardSigmoidOf(x)))

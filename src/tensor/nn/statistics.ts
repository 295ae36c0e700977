import { inF32, savesBoth } from '../autograd.ts'
import { noDims } from '../facets.ts'
import { node, type Node, type Op, type Tensor } from '../node.ts'
import { composite } from '../op/composite.ts'
import { positions, reducer } from '../op/sum.ts'
import { u } from '../op/untyped.ts'
import type { AxisList, Ok, Reduce, ReducedFrom, ReduceError, Shape } from '../shape/index.ts'

/** The axes that a log-sum-exp reduces, which stay as 1. */
export interface LogSumExpAttributes {
  readonly axes: readonly number[]
}

/** The largest float32 number. */
const largest = 3.4028234663852886e38

/**
 * x => log Σ exp x. The maximum is subtracted before the exponential, unless it is infinite. The vjp is a softmax, and
 * 0 if all elements are −∞.
 */
export const logSumExpOp: Op<LogSumExpAttributes> = composite<LogSumExpAttributes>({
  name: 'logSumExp',
  kind: 'reduction',
  dims: noDims,
  // any number may be subtracted without changing the result
  smooth: true,
  expand: ([x], { axes }) => {
    const top = u.max(x!, axes, true)
    const shift = u.stopGradient(u.select(u.lessEqual(u.abs(top), largest), top, 0))
    return u.add(u.log(u.sum(u.exp(u.sub(x!, shift)), axes, true)), shift)
  },
  vjp: (y, dy) => {
    const [x] = y.inputs
    const total = u.select(u.less(y, -largest), 0, y)
    return [u.mul(dy, u.exp(u.sub(x!, total)))]
  },
  autograd: inF32(savesBoth),
})

/**
 * log Σ eˣ over axes, or of everything, without overflow; −∞ if all elements are −∞, with a gradient of 0 there.
 * @example sub(x, logSumExp(x, -1, true))
 */
export const logSumExp = reducer((x, axes, keepDims) => {
  const y = node(logSumExpOp, [x], { axes })
  return keepDims
    ? y
    : u.reshape(
        y,
        x.shape.filter((_, axis) => !axes.includes(axis)),
      )
})

/** A reduction of float32 numbers with options. */
export interface Statistic<O> {
  <S extends Shape, const A extends AxisList | undefined = undefined, K extends boolean = false>(
    x: Tensor<S> & ReduceError<S, A, K>,
    axes?: A,
    keepDims?: K,
    options?: O,
  ): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>>
}
/** The typed function of a reduction with options. */
export const statistic =
  <O>(f: (x: Node, axes: readonly number[], keepDims: boolean, options: O | undefined) => Node): Statistic<O> =>
  (x: Node, axes?: AxisList, keepDims?: boolean, options?: O): never =>
    f(x, positions('reduce', x.shape, axes), keepDims ?? false, options) as never

/** The number that is taken from the count of elements: 0 for all of a population, 1 for a sample of it. */
export interface VarianceOptions {
  readonly correction?: 0 | 1
}

const varianceOf = (x: Node, axes: readonly number[], keepDims: boolean, { correction = 0 }: VarianceOptions = {}) => {
  const n = u.size(...axes.map(axis => x.shape[axis]!))
  const centred = u.sub(x, u.div(u.sum(x, axes, true), n))
  return u.div(u.sum(u.mul(centred, centred), axes, keepDims), correction === 0 ? n : u.sub(n, correction))
}

/** The square root, with a derivative of 1 at 0 instead of ∞: that of what is below the root, which is 0 there. */
export const root = (x: Node): Node => {
  const isPositive = u.less(0, x)
  return u.select(isPositive, u.sqrt(u.select(isPositive, x, 1)), x)
}

/**
 * The variance over axes, or of everything: the mean of the squared differences from the mean. Their sum is divided by
 * the number of elements less `correction`, which is 0 by default, as in NumPy, and 1 in PyTorch.
 * @example variance(x, -1, true)
 */
export const variance = statistic<VarianceOptions>(varianceOf)
/**
 * The standard deviation over axes, or of everything: the root of the {@link variance}, with its options. The gradient
 * is 0 if all elements are equal.
 * @example std(x, 'batch', false, { correction: 1 })
 */
export const std = statistic<VarianceOptions>((x, axes, keepDims, options) =>
  root(varianceOf(x, axes, keepDims, options)),
)

/** The kind of a norm: the sum of |x|, the root of the sum of x², or the largest |x|. */
export interface NormOptions {
  readonly ord?: 1 | 2 | 'max'
}

/**
 * A norm over axes, or of everything: by `ord`, the root of the sum of squares (2, by default), the sum of absolute
 * values (1), or their maximum (`'max'`). The gradient is 0 if all elements are 0.
 * @example div(x, norm(x, -1, true))
 */
export const norm = statistic<NormOptions>((x, axes, keepDims, { ord = 2 } = {}) =>
  ord === 2
    ? root(u.sum(u.mul(x, x), axes, keepDims))
    : ord === 1
      ? u.sum(u.abs(x), axes, keepDims)
      : u.max(u.abs(x), axes, keepDims),
)

import { node, ruled, type Node, type Op, type Tensor } from '../node.ts'
import { positions, reducer } from '../op/sum.ts'
import { u } from '../op/untyped.ts'
import {
  product,
  type AxisOrName,
  type Ok,
  type Reduce,
  type ReducedFrom,
  type ReduceError,
  type Shape,
} from '../shape/index.ts'
import { argmaxOp, argminOp, type PlaceAttributes } from './extremes.ts'
import { checkQuantile } from './quantile.ts'
import { root, statistic, type VarianceOptions } from './statistics.ts'

// Reductions that leave NaN out, as where numbers are missing. Of no number at all, the sum is 0, the product 1, and
// everything else NaN. No gradient flows to a NaN.

const isKnown = (x: Node): Node => u.equal(x, x)
const filled = (x: Node, value: number): Node => u.select(isKnown(x), x, value)
const countOf = (x: Node, axes: readonly number[], keepDims: boolean): Node =>
  u.sum(u.cast(isKnown(x), 'f32'), axes, keepDims)

/** The sum of the numbers that are not NaN, over axes or of everything. @example nan.sum(x, 'batch') */
export const sum = reducer((x, axes, keepDims) => u.sum(filled(x, 0), axes, keepDims))
/** The product of the numbers that are not NaN, over axes or of everything. @example nan.prod(x, 'batch') */
export const prod = reducer((x, axes, keepDims) => u.prod(filled(x, 1), axes, keepDims))
const extreme = (name: 'max' | 'min', other: number) =>
  reducer((x, axes, keepDims) =>
    u.select(u.equal(countOf(x, axes, keepDims), 0), NaN, u[name](filled(x, other), axes, keepDims)),
  )
/** The largest of the numbers that are not NaN, over axes or of everything. @example nan.max(x, 'batch') */
export const max = extreme('max', -Infinity)
/** The smallest of the numbers that are not NaN, over axes or of everything. @example nan.min(x, 'batch') */
export const min = extreme('min', Infinity)
/** The mean of the numbers that are not NaN, over axes or of everything. @example nan.mean(x, 'batch') */
export const mean = reducer((x, axes, keepDims) =>
  u.div(u.sum(filled(x, 0), axes, keepDims), countOf(x, axes, keepDims)),
)

const varianceOf = (x: Node, axes: readonly number[], keepDims: boolean, { correction = 0 }: VarianceOptions = {}) => {
  const mean = u.div(u.sum(filled(x, 0), axes, true), countOf(x, axes, true))
  const centred = u.select(isKnown(x), u.sub(filled(x, 0), mean), 0)
  return u.div(u.sum(u.mul(centred, centred), axes, keepDims), u.sub(countOf(x, axes, keepDims), correction))
}
/**
 * The variance of the numbers that are not NaN, over axes or of everything: the sum of the squared differences from
 * their mean, divided by their number less `correction`.
 * @example nan.variance(x, 'batch', false, { correction: 1 })
 */
export const variance = statistic<VarianceOptions>(varianceOf)
/**
 * The standard deviation of the numbers that are not NaN, over axes or of everything: the root of {@link variance}.
 * @example nan.std(x, 'batch')
 */
export const std = statistic<VarianceOptions>((x, axes, keepDims, options) =>
  root(varianceOf(x, axes, keepDims, options)),
)

/** A tensor, or all its elements along one axis, and the axis to go along. */
const along = (x: Node, axis: AxisOrName | undefined): readonly [of: Node, axis: number] => {
  if (axis !== undefined) return [x, positions('reduce', x.shape, axis)[0]!]
  return [u.reshape(x, [ruled(product(x.shape))]), 0]
}
/** A result whose axis stays as 1, with or without the reduced dims. */
const kept = (y: Node, x: Node, axis: AxisOrName | undefined, at: number, keepDims: boolean): Node => {
  const isReduced = (i: number): boolean => axis === undefined || i === at
  return u.reshape(
    y,
    keepDims ? x.shape.map((d, i) => (isReduced(i) ? 1 : d)) : x.shape.filter((_, i) => !isReduced(i)),
  )
}

/** The place of an extreme number along an axis, or among all elements in order, as int32. */
export type KnownPlace = <
  S extends Shape,
  const A extends AxisOrName | undefined = undefined,
  K extends boolean = false,
>(
  x: Tensor<S> & ReduceError<S, A, K>,
  axis?: A,
  keepDims?: K,
) => Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>, 'i32'>
const placing =
  (op: Op<PlaceAttributes>, other: number): KnownPlace =>
  (x: Node, axis?: AxisOrName, keepDims?: boolean): never => {
    const [of, at] = along(x, axis)
    const place = node(op, [filled(of, other)], { axis: at, keepDims: true })
    return kept(u.select(u.equal(countOf(of, [at], true), 0), -1, place), x, axis, at, keepDims ?? false) as never
  }
/**
 * The place of the largest number along an axis, or among all elements; −1 if all are NaN.
 * @example nan.argmax(x, -1)
 */
export const argmax = placing(argmaxOp, -Infinity)
/**
 * The place of the smallest number along an axis, or among all elements; −1 if all are NaN.
 * @example nan.argmin(x, -1)
 */
export const argmin = placing(argminOp, Infinity)

const quantileOf = (x: Node, q: number, axis: AxisOrName | undefined, keepDims: boolean): Node => {
  checkQuantile(q)
  const [of, at] = along(x, axis)
  // NaN is the last in order
  const sorted = u.takeAlong(of, u.argsort(of, at), at)
  const place = u.maximum(u.mul(u.sub(countOf(of, [at], true), 1), q), 0)
  const below = u.floor(place)
  const weight = u.sub(place, below)
  const element = (position: Node): Node => u.takeAlong(sorted, u.cast(position, 'i32'), at)
  const low = element(below)
  // an infinite neighbour with a weight of 0 does not count
  const high = element(u.select(u.less(0, weight), u.add(below, 1), below))
  const between = u.select(u.less(0, weight), u.add(low, u.mul(u.sub(high, low), weight)), low)
  return kept(between, x, axis, at, keepDims)
}
/**
 * The q-quantile of the numbers that are not NaN, along an axis or of all elements, interpolated linearly.
 * @throws {RangeError} if q does not lie between 0 and 1
 * @example nan.quantile(losses, 0.9, 'batch')
 */
export const quantile = <
  S extends Shape,
  const A extends AxisOrName | undefined = undefined,
  K extends boolean = false,
>(
  x: Tensor<S> & ReduceError<S, A, K>,
  q: number,
  axis?: A,
  keepDims?: K,
): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>> =>
  // the shape that the rule computes
  quantileOf(x, q, axis, keepDims ?? false) as never
/** The median of the numbers that are not NaN, along an axis or of all elements. @example nan.median(x, -1) */
export const median = <S extends Shape, const A extends AxisOrName | undefined = undefined, K extends boolean = false>(
  x: Tensor<S> & ReduceError<S, A, K>,
  axis?: A,
  keepDims?: K,
): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>> =>
  // the shape that the rule computes
  quantileOf(x, 0.5, axis, keepDims ?? false) as never

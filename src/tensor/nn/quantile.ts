import { ruled, type Node, type Tensor } from '../node.ts'
import { positions } from '../op/sum.ts'
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

/** The quantile along an axis, which stays as 1. NaN is the last in order. */
const quantileOf = (x: Node, q: number, axis: number): Node => {
  const sorted = u.takeAlong(x, u.argsort(x, axis), axis)
  const end = u.sub(u.size(x.shape[axis]!), 1)
  const place = u.mul(end, q)
  const below = u.floor(place)
  const at = (position: Node): Node => u.take(sorted, u.reshape(u.cast(position, 'i32'), [1]), axis)
  const [low, high, last] = [at(below), at(u.minimum(u.add(below, 1), end)), at(end)] as const
  // an infinite neighbour with a weight of 0 does not count
  const weight = u.sub(place, below)
  const between = u.select(u.less(0, weight), u.add(low, u.mul(u.sub(high, low), weight)), low)
  return u.select(u.equal(last, last), between, last)
}

/** Refuses a quantile that there is not. */
export const checkQuantile = (q: number): void => {
  if (!(q >= 0 && q <= 1)) throw new RangeError(`quantile: ${q} does not lie between 0 and 1`)
}

/** The quantile of a tensor along one of its axes, or of all its elements. */
const reduced = (x: Node, q: number, axis: AxisOrName | undefined, keepDims: boolean): Node => {
  checkQuantile(q)
  const all = ruled(product(x.shape))
  const at = axis === undefined ? 0 : positions('reduce', x.shape, axis)[0]!
  const y = quantileOf(axis === undefined ? u.reshape(x, [all]) : x, q, at)
  const kept = x.shape.map((dim, i) => (axis === undefined || i === at ? 1 : dim))
  return u.reshape(y, keepDims ? kept : kept.filter((_, i) => axis !== undefined && i !== at))
}

/**
 * The q-quantile along an axis, or of all elements, for q from 0 to 1: between two elements it is interpolated
 * linearly, as in NumPy and PyTorch. It is NaN if an element is. The gradient goes to the two elements, by their
 * weights.
 * @throws {RangeError} if q does not lie between 0 and 1
 * @example quantile(losses, 0.9, 'batch')
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
  reduced(x, q, axis, keepDims ?? false) as never

/**
 * The median along an axis, or of all elements: the mean of the two middle ones if their number is even, as in NumPy.
 * It is NaN if an element is.
 * @example median(x, -1)
 */
export const median = <S extends Shape, const A extends AxisOrName | undefined = undefined, K extends boolean = false>(
  x: Tensor<S> & ReduceError<S, A, K>,
  axis?: A,
  keepDims?: K,
): Tensor<Ok<Reduce<S, A, K>, ReducedFrom<S, A>>> =>
  // the shape that the rule computes
  reduced(x, 0.5, axis, keepDims ?? false) as never

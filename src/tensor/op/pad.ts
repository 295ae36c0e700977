import { node, ShapeMismatch, typed, ruled, type Node, type Op, type Tensor } from '../node.ts'
import {
  pad as padRule,
  stride as strideRule,
  type Dim,
  type Fault,
  type Ok,
  type Pad,
  type Shape,
  type Stride,
} from '../shape/index.ts'
import { sized } from '../misfit.ts'
import type { DType } from '../value.ts'
import { composite } from './composite.ts'
import { pointwise } from './elementwise.ts'
import { sources } from './placeholder.ts'
import { lastOf, modulo, placeAfter } from './position.ts'
import { layouts } from './reshape.ts'
import { padOp, parts, startOf, type SliceAttributes } from './slice.ts'
import { positions, sums } from './sum.ts'
import { takes } from './take.ts'

/**
 * Continues an axis beyond its ends: `edge` repeats the last element, `reflect` goes back without it, `wrap` begins
 * again at the other end.
 */
export type Continuation = 'edge' | 'reflect' | 'wrap'

const placesOf: { readonly [K in Continuation]: (place: Node, dim: Dim) => Node } = {
  edge: (place, dim) => pointwise.minimum(pointwise.maximum(place, 0), lastOf(dim)),
  // there and back again takes 2 (n - 1) steps; an axis of one element has nowhere to go
  reflect: (place, dim) => {
    const period = pointwise.maximum(pointwise.mul(lastOf(dim), 2), 1)
    const ahead = modulo(place, period)
    return pointwise.minimum(ahead, pointwise.sub(period, ahead))
  },
  wrap: (place, dim) => modulo(place, placeAfter([dim])),
}

/** An axis of size dim, with x from start on, and x continued around it                dx: dy added where x was read */
export const extendOp: Op<SliceAttributes & { readonly mode: Continuation }> = {
  ...composite<SliceAttributes & { readonly mode: Continuation }>({
    name: 'extend',
    kind: 'movement',
    dims: ({ start, dim }) => [...start, dim],
    expand: ([x], { axis, start, dim, mode }) =>
      takes.take(x!, placesOf[mode](pointwise.sub(sources.iota(dim), placeAfter(start)), x!.shape[axis]!), axis),
  }),
  misfit: padOp.misfit,
}

/** A part of an axis in steps. */
export interface StrideAttributes extends SliceAttributes {
  readonly step: number
}

/** y = x[…, start : … : step, …], as many as dim                                       dx: dy there, zero elsewhere */
export const strideOp: Op<StrideAttributes> = {
  ...composite<StrideAttributes>({
    name: 'stride',
    kind: 'movement',
    dims: ({ start, dim }) => [...start, dim],
    expand: ([x], { axis, start, dim, step }) =>
      takes.take(x!, pointwise.add(pointwise.mul(sources.iota(dim), step), placeAfter(start)), axis),
  }),
  misfit: (_, { axis, start, dim, step }, bound) => {
    const whole = bound.inputs[0]!.shape[axis]!
    const begin = startOf(start, bound)
    return begin + (bound.size(dim) - 1) * step < bound.size(whole)
      ? undefined
      : `stride: ${dim}${typeof dim === 'number' ? '' : `, which is ${bound.size(dim)},`} in steps of ${step} from ${begin} is beyond ${sized(whole, bound.size)}`
  },
}

/** A part of an axis in a padded tensor: the size of the whole axis, and the sizes before the part. */
export interface Padding<N extends Dim, B extends Shape> {
  readonly as: N
  readonly start?: B
  /** The number around the part (default: 0). */
  readonly value?: number
  /** The way in which the part goes on beyond its ends, instead of a number. */
  readonly mode?: Continuation
}

/** True for the places of a part. */
const within = (dim: Dim, { as, start = [] }: Padding<Dim, Shape>): Node =>
  pointwise.less(0, parts.pad(sums.broadcastTo(sources.constant(1), [dim]), 0, { as, start }))

/**
 * An axis extended to the size `as`: the tensor begins after the sizes `start`, and a number is around it, or what the
 * mode says. The slice of the same part undoes it.
 * @throws {ShapeMismatch} if the tensor never lies within that size
 * @example pad(x, 1, { as: 'padded', start: [2], mode: 'reflect' })
 */
export const pad = <
  S extends Shape,
  D extends DType,
  const A extends number,
  const N extends Dim,
  const B extends Shape = readonly [],
>(
  x: Tensor<S, D> & Fault<Pad<S, NoInfer<A>, NoInfer<N>, B>, S>,
  axis: A,
  padding: Padding<N, B>,
): Tensor<Ok<Pad<S, A, N, B>, S>, D> => {
  const { as, start = [], value = 0, mode } = padding
  ruled(padRule(x.shape, axis, as, start))
  const place = positions('pad', x.shape, axis)[0]!
  if (mode !== undefined) {
    if (padding.value !== undefined)
      throw new ShapeMismatch(`pad: with the mode ${mode}, there is no place for the value ${value}`)
    return typed(node(extendOp, [x], { axis: place, start, dim: as, mode }))
  }
  const padded = parts.pad(x, place, { as, start })
  if (value === 0) return typed(padded)
  if (x.dtype === 'bool' && value !== 1) throw new ShapeMismatch(`pad: ${value} is no truth value: specify 0 or 1`)
  const along = x.shape.slice(place).map((_, i) => (i === 0 ? as : 1))
  const inside = layouts.reshape(within(x.shape[place]!, { as, start }), along)
  return typed(pointwise.select(inside, padded, sources.constant(value, [], x.dtype)))
}

/**
 * Every so many elements of an axis: `as` names their number, `start` the sizes before the first one.
 * @throws {ShapeMismatch} if the axis is too short
 * @example stride(x, 1, { as: 'half', step: 2 })
 */
export const stride = <
  S extends Shape,
  D extends DType,
  const A extends number,
  const N extends Dim,
  const K extends number,
  const B extends Shape = readonly [],
>(
  x: Tensor<S, D> & Fault<Stride<S, NoInfer<A>, NoInfer<N>, NoInfer<K>, B>, S>,
  axis: A,
  part: { readonly as: N; readonly step: K; readonly start?: B },
): Tensor<Ok<Stride<S, A, N, K, B>, S>, D> => {
  const { as, step, start = [] } = part
  ruled(strideRule(x.shape, axis, as, step, start))
  return typed(node(strideOp, [x], { axis: positions('stride', x.shape, axis)[0]!, start, dim: as, step }))
}

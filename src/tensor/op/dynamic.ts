import { node, ShapeMismatch, typed, ruled, type Node, type Op, type Tensor } from '../node.ts'
import { noDims } from '../facets.ts'
import { partsBeyond } from '../misfit.ts'
import {
  dynamicSlice as dynamicSliceRule,
  dynamicUpdate as dynamicUpdateRule,
  type Dim,
  type DynamicSlice,
  type DynamicUpdate,
  type Fault,
  type Ok,
  type Shape,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { composite } from './composite.ts'
import { pointwise } from './elementwise.ts'
import { sources } from './placeholder.ts'
import { lastOf } from './position.ts'
import { takes } from './take.ts'

/** The places of a part that begins at a number of the program, moved so that the whole part lies within the axis. */
const placesOf = (start: Node, part: Dim, whole: Dim): Node => {
  const latest = pointwise.sub(lastOf(whole), lastOf(part))
  return pointwise.add(pointwise.minimum(pointwise.maximum(start, 0), latest), sources.iota(part))
}

/** The part of an axis, of size dim, that begins at a number of the program           dx: dy there, zero elsewhere */
export const dynamicSliceOp: Op<{ readonly axis: number; readonly dim: Dim }> = {
  ...composite<{ readonly axis: number; readonly dim: Dim }>({
    name: 'dynamicSlice',
    kind: 'other',
    dims: ({ dim }) => [dim],
    expand: ([x, start], { axis, dim }) => takes.take(x!, placesOf(start!, dim, x!.shape[axis]!), axis),
  }),
  misfit: (_, { axis, dim }, { size, inputs: [x] }) => partsBeyond('dynamicSlice', [dim], x!.shape[axis]!, size),
}

/** x with such a part of an axis replaced                              dx: dy with zeros there; dpart: dy there */
export const dynamicUpdateOp: Op<{ readonly axis: number }> = {
  ...composite<{ readonly axis: number }>({
    name: 'dynamicUpdate',
    kind: 'other',
    dims: noDims,
    expand: ([x, part, start], { axis }) =>
      takes.put(x!, placesOf(start!, part!.shape[axis]!, x!.shape[axis]!), part!, axis),
  }),
  misfit: (_, { axis }, { size, inputs: [x, part] }) =>
    partsBeyond('dynamicUpdate', [part!.shape[axis]!], x!.shape[axis]!, size),
}

/** The first place of a part along an axis: a number, or an int32 scalar of the program. */
export type DynamicStart = number | Tensor<readonly [], 'i32'>

/** The axes along which a part is smaller than the whole, with its first places there. */
const narrowed = (
  op: string,
  whole: Shape,
  part: Shape,
  start: readonly DynamicStart[],
): readonly (readonly [axis: number, start: Node])[] => {
  if (start.length !== whole.length)
    throw new ShapeMismatch(`${op}: there are ${start.length} first places for ${whole.length} dims`)
  return whole.flatMap((dim, axis): readonly (readonly [axis: number, start: Node])[] => {
    const first = start[axis]!
    return dim === part[axis] ? [] : [[axis, typeof first === 'number' ? sources.constant(first, [], 'i32') : first]]
  })
}

/**
 * The part of a tensor with the given sizes whose first places, one for each axis, may be computed by the program. As
 * in `jax.lax.dynamic_slice`, a place is moved so that the whole part lies within the tensor: along an axis that is
 * taken whole, it is 0.
 * @throws {ShapeMismatch} if a size is beyond its dim
 * @example dynamicSlice(x, [0, position], ['batch', 1])
 */
export const dynamicSlice = <S extends Shape, D extends DType, const T extends Shape>(
  x: Tensor<S, D> & Fault<DynamicSlice<S, T>, S>,
  start: readonly DynamicStart[],
  sizes: T,
): Tensor<Ok<DynamicSlice<S, T>, S>, D> => {
  const shape = ruled(dynamicSliceRule(x.shape, sizes))
  return typed(
    narrowed('dynamicSlice', x.shape, shape, start).reduce<Node>(
      (part, [axis, first]) => node(dynamicSliceOp, [part, first], { axis, dim: shape[axis]! }),
      x,
    ),
  )
}

/**
 * A tensor with a part replaced whose first places, one for each axis, may be computed by the program. As in
 * `jax.lax.dynamic_update_slice`, a place is moved so that the whole part lies within the tensor.
 * @throws {ShapeMismatch} if a dim of the part is beyond that of the tensor
 * @example dynamicUpdate(cache, keys, [0, position, 0])
 */
export const dynamicUpdate = <S extends Shape, D extends DType, P extends Shape>(
  x: Tensor<S, D>,
  part: Tensor<P, D> & Fault<DynamicUpdate<S, P>, S>,
  start: readonly DynamicStart[],
): Tensor<S, D> => {
  ruled(dynamicUpdateRule(x.shape, part.shape))
  const updated = (whole: Node, places: ReturnType<typeof narrowed>): Node => {
    const [place, ...rest] = places
    if (place === undefined) return part
    const [axis, first] = place
    const old = node(dynamicSliceOp, [whole, first], { axis, dim: part.shape[axis]! })
    return node(dynamicUpdateOp, [whole, rest.length === 0 ? part : updated(old, rest), first], { axis })
  }
  return typed(updated(x, narrowed('dynamicUpdate', x.shape, part.shape, start)))
}

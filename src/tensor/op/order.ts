import { node, ShapeMismatch, typed, type Node, type Op, type Tensor } from '../node.ts'
import { noDims } from '../facets.ts'
import type { Fault, OnAxis, Shape } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { composite } from './composite.ts'
import { pointwise } from './elementwise.ts'
import { sources } from './placeholder.ts'
import { lastOf, modulo, placeAfter } from './position.ts'
import { positions } from './sum.ts'
import { takes } from './take.ts'

/** x with an axis in the opposite order                                             dx: dy in the opposite order */
export const flipOp: Op<{ readonly axis: number }> = composite<{ readonly axis: number }>({
  name: 'flip',
  kind: 'movement',
  dims: noDims,
  expand: ([x], { axis }) => {
    const dim = x!.shape[axis]!
    return takes.take(x!, pointwise.sub(lastOf(dim), sources.iota(dim)), axis)
  },
  vjp: ({ attributes }, dy) => [node(flipOp, [dy], attributes)],
})

/** An axis, and the number of places that its elements move. */
export interface RollAttributes {
  readonly axis: number
  readonly shift: number
}

/** x with an axis turned: what leaves it at the end comes back at the start        dx: dy turned back */
export const rollOp: Op<RollAttributes> = composite<RollAttributes>({
  name: 'roll',
  kind: 'movement',
  dims: noDims,
  expand: ([x], { axis, shift }) => {
    const dim = x!.shape[axis]!
    return takes.take(x!, modulo(pointwise.sub(sources.iota(dim), shift), placeAfter([dim])), axis)
  },
  vjp: ({ attributes: { axis, shift } }, dy) => [node(rollOp, [dy], { axis, shift: -shift })],
})

/**
 * The elements of an axis in the opposite order.
 * @throws {ShapeMismatch} if there is no such axis
 * @example flip(x, -1)
 */
export const flip = <S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D> & Fault<OnAxis<'flip', S, NoInfer<A>>, S>,
  axis: A,
): Tensor<S, D> => typed(node(flipOp, [x], { axis: place('flip', x, axis) }))

/** Beyond it, a place plus a shift would not be an int32 for every size. */
const farthest = 2 ** 30

/**
 * The elements of an axis moved by a number of places; those that leave it at one end come back at the other, as in
 * `np.roll`.
 * @throws {ShapeMismatch} if there is no such axis, or the shift is not a whole number
 * @example roll(x, 1, -1)
 */
export const roll = <S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D> & Fault<OnAxis<'roll', S, NoInfer<A>>, S>,
  shift: number,
  axis: A,
): Tensor<S, D> => {
  if (!Number.isInteger(shift) || Math.abs(shift) > farthest)
    throw new ShapeMismatch(`roll: the shift is a whole number of at most 2^30 places, not ${shift}`)
  return typed(node(rollOp, [x], { axis: place('roll', x, axis), shift }))
}

const place = (op: string, x: Node, axis: number): number => positions(op, x.shape, axis)[0]!

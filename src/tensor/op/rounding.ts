import { typed, type Node, type Tensor } from '../node.ts'
import type { Shape } from '../shape/index.ts'
import { pointwise } from './elementwise.ts'
import { functions } from './functions.ts'
import type { NumberFault } from './operands.ts'
import type { Numeric } from './unary.ts'
import { scalarOf, type Operand } from './verb.ts'

/** Rounding and bounds, element by element. */

const { less, maximum, minimum, neg, select } = pointwise

/** A rounding, of which a whole number is its own result. */
const rounding =
  (f: (x: Node) => Node): Numeric =>
  x =>
    typed(x.dtype === 'i32' ? x : f(x))
/** The largest whole number that is not above x; its derivative is 0. @example floor(mul(x, 10)) */
export const floor = rounding(functions.floor)
const ceiling = (x: Node): Node => neg(functions.floor(neg(x)))
/** The least whole number that is not below x; its derivative is 0. @example ceil(mul(x, 10)) */
export const ceil = rounding(ceiling)
/** The whole part of x, rounded towards 0; its derivative is 0. @example sub(x, trunc(x)) */
export const trunc = rounding(x => select(less(x, 0), ceiling(x), functions.floor(x)))
/**
 * The nearest whole number, of two equally near the even one, as in NumPy and PyTorch; its derivative is 0.
 * @example div(round(mul(x, 100)), 100)
 */
export const round = rounding(functions.round)

/**
 * x between two bounds: min(max(x, low), high), so `high` if the bounds cross. As in PyTorch, the derivative of x is 1
 * within the bounds and at them, and 0 outside; that of a bound is 1 outside of it.
 * @example clip(x, -1, 1)
 */
export const clip = <
  S extends Shape,
  D extends 'f32' | 'i32',
  const L extends Tensor<S, D> | Tensor<readonly [], D> | number,
  const H extends Tensor<S, D> | Tensor<readonly [], D> | number,
>(
  x: Tensor<S, D>,
  low: L & NumberFault<'clip', L, D>,
  high: H & NumberFault<'clip', H, D>,
): Tensor<S, D> => {
  const bound = (of: Operand): Node => (typeof of === 'number' ? scalarOf('clip', of, x.dtype) : of)
  return typed(minimum(maximum(x, bound(low as Operand)), bound(high as Operand)))
}

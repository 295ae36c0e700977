import { typed, type Node, type Tensor } from '../node.ts'
import type { Shape } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import type { Binary, Logical, Select } from './operands.ts'
import type { Operand, VerbOf } from './verb.ts'

/** Functions of several tensors, element by element. */

/** The typed function of a verb with two operands. */
export const binary =
  <Name extends string, Gives extends DType | 'same'>(verb: VerbOf[2]): Binary<Name, Gives> =>
  (a: Operand, b: Operand): never =>
    verb(a, b) as never
/**
 * a + b, broadcast from the right; either may be a number. Integers wrap around at 32 bits.
 * @example add(x, bias)
 */
export const add = binary<'add', 'same'>(pointwise.add)
/**
 * a − b, broadcast from the right; either may be a number. Integers wrap around at 32 bits.
 * @example sub(1, probability)
 */
export const sub = binary<'sub', 'same'>(pointwise.sub)
/** a b, broadcast from the right; integers wrap around at 32 bits. @example mul(x, 0.5) */
export const mul = binary<'mul', 'same'>(pointwise.mul)
/**
 * a/b, broadcast from the right. A quotient of integers is truncated towards 0; division by 0 gives −1.
 * @example div(x, size('batch'))
 */
export const div = binary<'div', 'same'>(pointwise.div)
/**
 * aᵇ, broadcast from the right; either may be a number. A power of integers with a negative exponent is truncated
 * towards 0. The derivatives at a = 0 are their limits.
 * @example pow(scalar(0.9), step)
 */
export const pow: Binary<'pow', 'same'> = (a: Operand, b: Operand): never =>
  // a product is a kernel of every target
  (b === 2 && typeof a !== 'number' && a.dtype !== 'bool' ? pointwise.mul(a, a) : pointwise.pow(a, b)) as never
/** The larger of a and b, broadcast from the right. @example maximum(x, 0) */
export const maximum = binary<'maximum', 'same'>(pointwise.maximum)
/** The smaller of a and b, broadcast from the right. @example minimum(x, 1) */
export const minimum = binary<'minimum', 'same'>(pointwise.minimum)

/** a = b, broadcast from the right, as a `bool` tensor. @example equal(labels, iota('classes')) */
export const equal = binary<'equal', 'bool'>(pointwise.equal)
/**
 * a ≠ b, broadcast from the right, as a `bool` tensor; NaN differs from everything. Of truth values it is the exclusive
 * or.
 * @example notEqual(labels, -100)
 */
export const notEqual = binary<'notEqual', 'bool'>(pointwise.notEqual)
/** a < b, broadcast from the right, as a `bool` tensor. @example less(iota('seq'), length) */
export const less = binary<'less', 'bool'>(pointwise.less)
/** a ≤ b, broadcast from the right, as a `bool` tensor. @example lessEqual(x, 0) */
export const lessEqual = binary<'lessEqual', 'bool'>(pointwise.lessEqual)
/** a > b, broadcast from the right, as a `bool` tensor. @example greater(x, 0) */
export const greater = binary<'greater', 'bool'>(pointwise.greater)
/** a ≥ b, broadcast from the right, as a `bool` tensor. @example greaterEqual(labels, 0) */
export const greaterEqual = binary<'greaterEqual', 'bool'>(pointwise.greaterEqual)

const logical =
  <Name extends string>(verb: VerbOf[2]): Logical<Name> =>
  (a: Node, b: Node): never =>
    verb(a, b) as never
/** a and b: true if both are, broadcast from the right. @example and(greaterEqual(x, 0), lessEqual(x, 1)) */
export const and = logical<'and'>(pointwise.and)
/** a or b: true if at least one is, broadcast from the right. @example or(isPadding, equal(ids, 0)) */
export const or = logical<'or'>(pointwise.or)
/** The opposite of truth values. @example not(isPadding) */
export const not = <S extends Shape>(x: Tensor<S, 'bool'>): Tensor<S, 'bool'> => typed(pointwise.not(x))
/** Tests for numbers that are NaN, as a `bool` tensor. @example select(isNaN(x), 0, x) */
export const isNaN = <S extends Shape>(x: Tensor<S>): Tensor<S, 'bool'> => typed(pointwise.notEqual(x, x))
/** Tests for numbers that are neither NaN nor infinite, as a `bool` tensor. @example select(isFinite(x), x, 0) */
export const isFinite = <S extends Shape>(x: Tensor<S>): Tensor<S, 'bool'> =>
  typed(pointwise.less(pointwise.abs(x), Infinity))

/**
 * `a` if the condition holds, otherwise `b`, all broadcast from the right; a number counts as a scalar.
 * @example select(mask, scores, -1e9)
 */
export const select: Select = (condition: Node, a: Operand, b: Operand): never =>
  pointwise.select(condition, a, b) as never

/** Another dtype. @example cast(mask, 'f32') */
export const cast = <S extends Shape, F extends DType, D extends DType>(x: Tensor<S, F>, dtype: D): Tensor<S, D> =>
  typed(pointwise.cast(x, dtype))

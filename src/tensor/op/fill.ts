import { node, ShapeMismatch, typed, type Node, type Tensor } from '../node.ts'
import type { Shape, ShapeFault } from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import { constantOp, sources, type OneDim } from './placeholder.ts'

// Tensors of one number, and of numbers at equal distances.

/** The dtypes of numbers that a program computes with. */
export type Computed = 'f32' | 'i32' | 'bool'

const filled = (shape: Shape, value: number, dtype: DType): Node => {
  if (dtype === 'bool' && value !== 0 && value !== 1)
    throw new ShapeMismatch(`fill: ${value} is no truth value: specify 0 or 1`)
  return node(constantOp, [], { value, shape, dtype })
}

/**
 * One number everywhere, as float32 unless another dtype is given; truth values are 0 and 1.
 * @throws {ShapeMismatch} for a number that the dtype does not have
 * @example fill(['batch', 'hidden'], 0.5)
 */
export const fill = <const S extends Shape, const D extends Computed = 'f32'>(
  shape: S & ShapeFault<S>,
  value: number,
  dtype?: D,
): Tensor<Readonly<S>, NoInfer<D>> => typed(filled(shape, value, dtype ?? 'f32'))
/** Zeros, as float32 unless another dtype is given. @example zeros(['batch', 'hidden']) */
export const zeros = <const S extends Shape, const D extends Computed = 'f32'>(
  shape: S & ShapeFault<S>,
  dtype?: D,
): Tensor<Readonly<S>, NoInfer<D>> => typed(filled(shape, 0, dtype ?? 'f32'))
/** Ones, as float32 unless another dtype is given. @example ones(['batch', 1]) */
export const ones = <const S extends Shape, const D extends Computed = 'f32'>(
  shape: S & ShapeFault<S>,
  dtype?: D,
): Tensor<Readonly<S>, NoInfer<D>> => typed(filled(shape, 1, dtype ?? 'f32'))
/** Zeros with the shape and the dtype of a tensor. @example zerosLike(x) */
export const zerosLike = <S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> =>
  typed(filled(x.shape, 0, x.dtype))
/** Ones with the shape and the dtype of a tensor. @example onesLike(x) */
export const onesLike = <S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> =>
  typed(filled(x.shape, 1, x.dtype))

/**
 * Numbers at equal distances along a dim, from the first to the last, both included; of one number, the first.
 * @example linspace(0, 1, 'steps')
 */
export const linspace = <const N extends OneDim>(
  first: number,
  last: number,
  ...[dim]: N & ShapeFault<N>
): Tensor<Readonly<N>> => {
  // each end is exact, because the weight of the other is 0 there
  const part = pointwise.div(sources.iota(dim, 'f32'), pointwise.maximum(pointwise.sub(sources.size(dim), 1), 1))
  return typed(pointwise.add(pointwise.mul(pointwise.sub(1, part), first), pointwise.mul(part, last)))
}

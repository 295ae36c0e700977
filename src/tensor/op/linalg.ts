import { ruled, typed, type Node, type Tensor } from '../node.ts'
import {
  diag as diagRule,
  diagonal as diagonalRule,
  dot as dotRule,
  trace as traceRule,
  type Diag,
  type Diagonal,
  type Dim,
  type Dot,
  type Fault,
  type MatrixTrace,
  type Ok,
  type Shape,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { products } from './contract.ts'
import { pointwise } from './elementwise.ts'
import { places, zeroLike } from './matrix.ts'
import { picks } from './pick.ts'
import { sources } from './placeholder.ts'
import { layouts } from './reshape.ts'
import { sums } from './sum.ts'

// Matrices, or many of them: their diagonals, and products of vectors.

/**
 * The diagonals of square matrices.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example linalg.diagonal(covariance)
 */
export const diagonal = <S extends Shape, D extends DType>(
  x: Tensor<S, D> & Fault<Diagonal<'diagonal', S>, S>,
): Tensor<Ok<Diagonal<'diagonal', S>, S>, D> => typed(diagonalOf(x, ruled(diagonalRule('diagonal', x.shape))))
const diagonalOf = (x: Node, shape: Shape): Node => picks.pick(x, sums.broadcastTo(sources.iota(shape.at(-1)!), shape))

/**
 * Square matrices with a diagonal, and zeros elsewhere.
 * @throws {ShapeMismatch} for a scalar
 * @example linalg.diag(variances)
 */
export const diag = <S extends Shape, D extends DType>(
  x: Tensor<S, D> & Fault<Diag<S>, S>,
): Tensor<Ok<Diag<S>, S>, D> => {
  const shape = ruled(diagRule(x.shape))
  const n = shape.at(-1)!
  const rows = layouts.reshape(x, x.shape.toSpliced(-1, 0, 1))
  return typed(pointwise.select(pointwise.equal(...places(n, n)), rows, zeroLike(x)))
}

/**
 * The traces of square matrices: the sums of their diagonals.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example linalg.trace(covariance)
 */
export const trace = <S extends Shape, D extends DType>(
  x: Tensor<S, D> & Fault<MatrixTrace<S>, S>,
): Tensor<Ok<MatrixTrace<S>, S>, D> => {
  const rest = ruled(traceRule(x.shape))
  return typed(sums.sum(diagonalOf(x, x.shape.slice(0, -1)), [rest.length]))
}

/** The products of the elements of two vectors, as a matrix. @example linalg.outer(mean, mean) */
export const outer = <N extends Dim, M extends Dim, D extends 'f32' | 'i32'>(
  a: Tensor<readonly [N], D>,
  b: Tensor<readonly [M], D>,
): Tensor<readonly [N, M], D> => typed(pointwise.mul(layouts.reshape(a, [...a.shape, 1]), b))

/**
 * The inner product of two vectors.
 * @throws {ShapeMismatch} if they differ in their dim, or are not vectors
 * @example linalg.dot(weights, features)
 */
export const dot = <A extends Shape, B extends Shape>(
  a: Tensor<A>,
  b: Tensor<B> & Fault<Dot<A, B>, A>,
): Tensor<readonly []> => {
  ruled(dotRule(a.shape, b.shape))
  return typed(products.contract(a, b, { a: 'x', b: 'x', out: '' }))
}

import { ruled, typed, type Node, type Tensor } from '../node.ts'
import {
  triangle as triangleRule,
  type Dim,
  type Fault,
  type Shape,
  type ShapeFault,
  type Triangle,
} from '../shape/index.ts'
import type { DType } from '../value.ts'
import { pointwise } from './elementwise.ts'
import { sources, type OneDim } from './placeholder.ts'
import { layouts } from './reshape.ts'

// Matrices made of places, and the triangles of matrices.

/** The number of the row of each element, and that of its column, in shapes that broadcast to a matrix. */
export const places = (rows: Dim, columns: Dim): readonly [row: Node, column: Node] => [
  layouts.reshape(sources.iota(rows), [rows, 1]),
  sources.iota(columns),
]
/** The zero of a dtype. */
export const zeroLike = ({ dtype }: Node): Node => sources.constant(0, [], dtype)

/**
 * The identity matrix; of two dims, ones where the row is the column.
 * @example eye('hidden')
 */
export function eye<const N extends OneDim>(...dim: N & ShapeFault<N>): Tensor<readonly [N[0], N[0]]>
export function eye<const S extends readonly [rows: Dim, columns: Dim]>(
  ...shape: S & ShapeFault<S>
): Tensor<Readonly<S>>
export function eye(rows: Dim, columns: Dim = rows): never {
  return typed(pointwise.cast(pointwise.equal(...places(rows, columns)), 'f32')) as never
}

/** The elements on one side of a diagonal, the others 0. */
const sideOf = (x: Node, op: 'tril' | 'triu', offset: number): Node => {
  const [rows, columns] = ruled(triangleRule(op, x.shape)).slice(-2) as [Dim, Dim]
  const [row, column] = places(rows, columns)
  const diagonal = pointwise.add(row, offset)
  const kept = op === 'tril' ? pointwise.lessEqual(column, diagonal) : pointwise.lessEqual(diagonal, column)
  return pointwise.select(kept, x, zeroLike(x))
}
/**
 * The lower triangles of matrices: zeros above the diagonal, or above the one that lies `offset` further to the right.
 * @throws {ShapeMismatch} if there are less than two dims
 * @example tril(scores)
 */
export const tril = <S extends Shape, D extends DType>(
  x: Tensor<S, D> & Fault<Triangle<'tril', S>, S>,
  offset = 0,
): Tensor<S, D> => typed(sideOf(x, 'tril', offset))
/**
 * The upper triangles of matrices: zeros below the diagonal, or below the one that lies `offset` further to the right.
 * @throws {ShapeMismatch} if there are less than two dims
 * @example triu(scores, 1)
 */
export const triu = <S extends Shape, D extends DType>(
  x: Tensor<S, D> & Fault<Triangle<'triu', S>, S>,
  offset = 0,
): Tensor<S, D> => typed(sideOf(x, 'triu', offset))

/**
 * The keys that each query of a causal model may see: key j ≤ query i + offset. The offset is the number of keys before
 * the first query, as with a cache.
 * @example select(causalMask('seq', 'seq'), scores, -1e30)
 */
export function causalMask<const S extends readonly [queries: Dim, keys: Dim]>(
  ...shape: S & ShapeFault<S>
): Tensor<Readonly<S>, 'bool'>
export function causalMask<const Q extends Dim, const K extends Dim>(
  queries: Q,
  keys: K,
  offset: number | Tensor<readonly [], 'i32'>,
): Tensor<readonly [Q, K], 'bool'>
export function causalMask(queries: Dim, keys: Dim, offset: number | Node = 0): never {
  const [query, key] = places(queries, keys)
  return typed(pointwise.lessEqual(key, pointwise.add(query, offset))) as never
}

import { node, typed, ruled, type Node, type Tensor } from './node.ts'
import { argmaxOp } from './nn/extremes.ts'
import { product } from './op/contract.ts'
import { places } from './op/matrix.ts'
import { u } from './op/untyped.ts'
import { scanned } from './scan.ts'
import { diagonal as diagonalRule } from './shape/index.ts'
import type { Dim, Diagonal, Fault, MatMul, MatMulError, MatrixTrace, Ok, Shape } from './shape/index.ts'

// Inverses, determinants and triangular factors of square matrices, or of many of them, by elimination: one column after
// the other, as a scan over the columns, which is differentiated as any other.

/** The last dim of square matrices, and the dims before the last two. */
const squareOf = (op: string, x: Node): readonly [n: Dim, leading: Shape] => {
  const rows = ruled(diagonalRule(op, x.shape))
  return [rows.at(-1)!, rows.slice(0, -1)]
}
const unit = (n: Dim): Node => u.cast(u.equal(...places(n, n)), 'f32')
/** The column of matrices at the place of a 1. */
const columnAt = (a: Node, one: Node): Node => u.sum(u.mul(a, one), [a.shape.length - 1])
/** The row of each matrix at the place of its 1. */
const rowAt = (a: Node, one: Node): Node => u.sum(u.mul(a, u.reshape(one, [...one.shape, 1])), [a.shape.length - 2])
const outer = (x: Node, y: Node): Node =>
  u.mul(u.reshape(x, [...x.shape, 1]), u.reshape(y, [...y.shape.slice(0, -1), 1, y.shape.at(-1)!]))
/** An axis of steps at the front, moved behind the leading dims. */
const behind = (x: Node, leading: Shape): Node => {
  const [first, ...others] = x.shape.map((_, axis) => axis) as [number, ...number[]]
  return u.transpose(x, others.toSpliced(leading.length, 0, first))
}

interface Eliminated {
  /** The inverses, of which the row of a pivot is still to be divided by it. */
  readonly rows: Node
  /** The pivots, `[…, n]`, in the order of the columns. */
  readonly pivots: Node
  /** The row of each pivot, `[…, n]`. */
  readonly order: Node
}
/**
 * Elimination after Gauss and Jordan. The pivot of a column is the element with the largest magnitude in a row that has
 * had none, so that no factor of such a row is larger than 1. A pivot of 0 eliminates nothing: nothing is below it.
 */
const eliminated = (op: string, x: Node): Eliminated => {
  const [n, leading] = squareOf(op, x)
  const states = [x, u.broadcastTo(unit(n), x.shape), u.constant(0, [...leading, n])]
  const [[, rows], [chosen, pivots, order]] = scanned(
    [unit(n)],
    states,
    ([a, b, had], [one]) => {
      const column = columnAt(a!, one!)
      const score = u.select(u.less(0, had!), -1, u.abs(u.stopGradient(column)))
      const place = node(argmaxOp, [score], { axis: leading.length, keepDims: true })
      const at = u.cast(u.equal(place, u.iota(n)), 'f32')
      const pivot = u.sum(u.mul(column, at), [leading.length], true)
      const factor = u.mul(u.div(column, u.select(u.equal(pivot, 0), 1, pivot)), u.sub(1, at))
      const [nextA, nextB] = [a!, b!].map(of => u.sub(of, outer(factor, rowAt(of, at)))) as [Node, Node]
      return [
        [nextA, nextB, u.add(had!, at)],
        [at, pivot, place].map((of, i) => (i === 0 ? of : u.reshape(of, leading))),
      ]
    },
    {},
  ) as readonly [readonly [Node, Node, Node], readonly [Node, Node, Node]]
  return {
    rows: product(behind(chosen, leading), rows),
    pivots: behind(pivots, leading),
    order: behind(order, leading),
  }
}

const inverseOf = (op: string, x: Node): Node => {
  const { rows, pivots } = eliminated(op, x)
  return u.div(rows, u.reshape(pivots, [...pivots.shape, 1]))
}
/** 1 or −1, by the number of pairs of pivots that are not in the order of their rows. */
const parityOf = (order: Node): Node => {
  const n = order.shape.at(-1)!
  const [row, column] = places(n, n)
  const later = u.less(u.reshape(order, [...order.shape.slice(0, -1), 1, n]), u.reshape(order, [...order.shape, 1]))
  const pairs = u.sum(u.cast(u.and(later, u.less(row, column)), 'i32'), [order.shape.length - 1, order.shape.length])
  return u.sub(1, u.mul(2, u.cast(u.remainder(pairs, 2), 'f32')))
}

/**
 * The inverses of square matrices, by elimination with pivots; infinite or NaN if a matrix is singular.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example linalg.inverse(covariance)
 */
export const inverse = <S extends Shape>(x: Tensor<S> & Fault<Diagonal<'inverse', S>>): Tensor<S> =>
  typed(inverseOf('inverse', x))

/**
 * The solutions x of a x = b for square matrices a, `[…, n, n]`, and right sides `[…, n, m]` or `[n]`: the product with
 * the inverse, corrected once by what it leaves of b. Infinite or NaN if a matrix is singular.
 * @throws {ShapeMismatch} if the last two dims of a differ, or those of b do not fit, as in a product
 * @example linalg.solve(covariance, features)
 */
export const solve = <A extends Shape, B extends Shape>(
  a: Tensor<A> & Fault<Diagonal<'solve', A>>,
  b: Tensor<B> & MatMulError<A, B>,
): Tensor<Ok<MatMul<A, B>>> => {
  const inverse = inverseOf('solve', a)
  const first = product(inverse, b)
  return typed(u.add(first, product(inverse, u.sub(b, product(a, first)))))
}

/** A number with a derivative of NaN at 0, where the elimination has none. */
const withoutSlopeAtZero = (x: Node): Node => {
  const root = u.sqrt(u.abs(x))
  return u.select(u.equal(x, 0), u.mul(root, root), x)
}
/**
 * The determinants of square matrices: the products of their pivots. The gradient needs matrices that are not singular,
 * and is NaN for others.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example linalg.determinant(jacobian)
 */
export const determinant = <S extends Shape>(
  x: Tensor<S> & Fault<Diagonal<'determinant', S>>,
): Tensor<Ok<MatrixTrace<S>>> => {
  const { pivots, order } = eliminated('determinant', x)
  return typed(u.mul(parityOf(order), u.prod(withoutSlopeAtZero(pivots), [pivots.shape.length - 1])))
}

/**
 * The signs of the determinants of square matrices, and the logarithms of their absolute values, which neither overflow
 * nor underflow: 0 and −∞ if a matrix is singular.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example const { sign, logarithm } = linalg.logDeterminant(covariance)
 */
export const logDeterminant = <S extends Shape>(
  x: Tensor<S> & Fault<Diagonal<'logDeterminant', S>>,
): { readonly sign: Tensor<Ok<MatrixTrace<S>>>; readonly logarithm: Tensor<Ok<MatrixTrace<S>>> } => {
  const { pivots, order } = eliminated('logDeterminant', x)
  const last = [pivots.shape.length - 1]
  return {
    sign: typed(u.mul(parityOf(order), u.prod(u.sign(pivots), last))),
    logarithm: typed(u.sum(u.log(u.abs(pivots)), last)),
  }
}

/**
 * The lower triangular matrices l with l lᵀ = x for symmetric positive definite matrices x (Cholesky); of others, the
 * mean with the transpose is taken, and a matrix that is not positive definite gives NaN.
 * @throws {ShapeMismatch} if the last two dims differ
 * @example linalg.cholesky(covariance)
 */
export const cholesky = <S extends Shape>(x: Tensor<S> & Fault<Diagonal<'cholesky', S>>): Tensor<S> => {
  const [n, leading] = squareOf('cholesky', x)
  const swapped = [...leading.keys(), leading.length + 1, leading.length]
  const symmetric = u.mul(u.add(x, u.transpose(x, swapped)), 0.5)
  const [row, column] = places(n, n)
  // row k of the second sequence: 1 from place k on
  const [, [columns]] = scanned(
    [unit(n), u.cast(u.lessEqual(row, column), 'f32')],
    [symmetric],
    ([a], [one, below]) => {
      const pivots = columnAt(a!, one!)
      const square = u.sum(u.mul(pivots, one!), [leading.length], true)
      const found = u.select(u.less(0, below!), u.div(pivots, u.sqrt(square)), 0)
      return [[u.sub(a!, outer(found, found))], [found]]
    },
    {},
  )
  return typed(u.transpose(behind(columns!, leading), swapped))
}

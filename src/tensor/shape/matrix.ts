import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type CheckBoth, type CheckShape } from './check.ts'

// Rules of the last two axes: a matrix, or many.

const needsTwo = <Op extends string, S extends string>(op: Op, shape: S) =>
  `${op}: ${shape} needs at least 2 dims` as const
const needsOne = <S extends string>(shape: S) => `diag: ${shape} needs at least 1 dim` as const
const notSquare = <Op extends string, N extends Dim, M extends Dim, S extends string>(op: Op, n: N, m: M, shape: S) =>
  `${op}: dims ${n} and ${m} differ in ${shape}` as const

/**
 * The shape of the triangle of a matrix, or of each of many: it is unchanged.
 * @example Triangle<'tril', ['batch', 'n', 'm']> is ['batch', 'n', 'm']
 */
export type Triangle<Op extends string, S extends Shape> =
  CheckShape<S> extends true
    ? { readonly s: S } extends {
        readonly s: readonly [...infer L extends Shape, infer N extends Dim, infer M extends Dim]
      }
      ? readonly [...L, N, M]
      : ShapeError<ReturnType<typeof needsTwo<Op, Show<S>>>>
    : CheckShape<S>
/** The twin of the type. */
export const triangle = (op: string, shape: Shape): E.Either<string, Shape> =>
  checked([shape], () => (shape.length < 2 ? E.left(needsTwo(op, show(shape))) : E.right(shape)))

/**
 * The shape of the diagonal of a square matrix, or of each of many.
 * @example Diagonal<'diagonal', ['batch', 'n', 'n']> is ['batch', 'n']
 */
export type Diagonal<Op extends string, S extends Shape> =
  CheckShape<S> extends true
    ? { readonly s: S } extends {
        readonly s: readonly [...infer L extends Shape, infer N extends Dim, infer M extends Dim]
      }
      ? Same<N, M> extends true
        ? readonly [...L, N]
        : ShapeError<ReturnType<typeof notSquare<Op, N, M, Show<S>>>>
      : ShapeError<ReturnType<typeof needsTwo<Op, Show<S>>>>
    : CheckShape<S>
/** The twin of the type. */
export const diagonal = (op: string, shape: Shape): E.Either<string, Shape> =>
  checked([shape], () => {
    const [n, m] = shape.slice(-2)
    return n === undefined || m === undefined
      ? E.left(needsTwo(op, show(shape)))
      : n === m
        ? E.right(shape.slice(0, -1))
        : E.left(notSquare(op, n, m, show(shape)))
  })

/**
 * The trace of a square matrix, or of each of many.
 * @example MatrixTrace<['batch', 'n', 'n']> is ['batch']
 */
export type MatrixTrace<S extends Shape> =
  CheckShape<S> extends true
    ? { readonly s: S } extends {
        readonly s: readonly [...infer L extends Shape, infer N extends Dim, infer M extends Dim]
      }
      ? Same<N, M> extends true
        ? readonly [...L]
        : ShapeError<ReturnType<typeof notSquare<'trace', N, M, Show<S>>>>
      : ShapeError<ReturnType<typeof needsTwo<'trace', Show<S>>>>
    : CheckShape<S>
/** The twin of the type. */
export const trace = (shape: Shape): E.Either<string, Shape> => E.map(diagonal('trace', shape), of => of.slice(0, -1))

/** The matrix, or matrices, with a diagonal. @example Diag<['batch', 'n']> is ['batch', 'n', 'n'] */
export type Diag<S extends Shape> =
  CheckShape<S> extends true
    ? { readonly s: S } extends { readonly s: readonly [...infer L extends Shape, infer N extends Dim] }
      ? readonly [...L, N, N]
      : ShapeError<ReturnType<typeof needsOne<Show<S>>>>
    : CheckShape<S>
/** The twin of the type. */
export const diag = (shape: Shape): E.Either<string, Shape> =>
  checked([shape], () => (shape.length === 0 ? E.left(needsOne(show(shape))) : E.right([...shape, ...shape.slice(-1)])))

const dimsDiffer = <N extends Dim, M extends Dim>(n: N, m: M) => `dot: dims ${n} and ${m} differ` as const
const noVectors = <A extends string, B extends string>(a: A, b: B) => `dot: ${a} and ${b} are not two vectors` as const
/** The inner product of two vectors. @example Dot<['hidden'], ['hidden']> is [] */
export type Dot<A extends Shape, B extends Shape> =
  CheckBoth<A, B> extends true
    ? { readonly a: A; readonly b: B } extends {
        readonly a: readonly [infer N extends Dim]
        readonly b: readonly [infer M extends Dim]
      }
      ? Same<N, M> extends true
        ? readonly []
        : ShapeError<ReturnType<typeof dimsDiffer<N, M>>>
      : ShapeError<ReturnType<typeof noVectors<Show<A>, Show<B>>>>
    : CheckBoth<A, B>
/** The twin of the type. */
export const dot = (a: Shape, b: Shape): E.Either<string, Shape> =>
  checked([a, b], () => {
    const [n] = a
    const [m] = b
    return n === undefined || m === undefined || a.length > 1 || b.length > 1
      ? E.left(noVectors(show(a), show(b)))
      : n === m
        ? E.right([])
        : E.left(dimsDiffer(n, m))
  })

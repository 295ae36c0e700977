import * as E from 'fp-ts/lib/Either.js'
import { type Fault, type List, type Shape, type ShapeError, type Show, show } from './dim.ts'
import { checked, type CheckShapes } from './check.ts'
import { axesOf, type Axes } from './axis.ts'

const wrongCount = <P extends string, S extends string>(permutation: P, shape: S) =>
  `transpose: [${permutation}] does not name every axis of ${shape} once` as const

/**
 * The dims in the order of a permutation, whose axes may be negative.
 * @example Transpose<['batch', 'seq', 'heads', 'headDim'], [0, 2, 1, 3]> is ['batch', 'heads', 'seq', 'headDim']
 */
export type Transpose<S extends Shape, P extends readonly number[]> =
  CheckShapes<readonly [S]> extends true
    ? Axes<'transpose', S, P> extends infer A
      ? A extends readonly number[]
        ? A['length'] extends S['length']
          ? Permuted<S, A>
          : ShapeError<ReturnType<typeof wrongCount<List<P>, Show<S>>>>
        : A
      : never
    : CheckShapes<readonly [S]>
type Permuted<S extends Shape, P extends readonly number[]> = { readonly [K in keyof P]: S[P[K]] }
/** The twin of the type. */
export const transpose = (shape: Shape, permutation: readonly number[]): E.Either<string, Shape> =>
  checked([shape], () =>
    E.flatMap(axesOf('transpose', shape, permutation), axes =>
      axes.length === shape.length
        ? E.right(axes.flatMap(axis => shape.slice(axis, axis + 1)))
        : E.left(wrongCount(permutation.join(', '), show(shape))),
    ),
  )
/** `unknown`, or the error for the argument's type. */
export type TransposeError<S extends Shape, P extends readonly number[]> = Fault<Transpose<S, P>>

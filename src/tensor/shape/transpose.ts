import * as E from '../../either/index.ts'
import { type Fault, type List, type Shape, type ShapeError, type Show, show } from './dim.ts'
import { checked, type CheckShape } from './check.ts'
import { axesOf, type Axes } from './axis.ts'

const wrongCount = <P extends string, S extends string>(permutation: P, shape: S) =>
  `transpose: [${permutation}] does not name every axis of ${shape} once` as const

/**
 * The dims in the order of a permutation, whose axes may be negative.
 * @example Transpose<['batch', 'seq', 'heads', 'headDim'], [0, 2, 1, 3]> is ['batch', 'heads', 'seq', 'headDim']
 */
export type Transpose<S extends Shape, P extends readonly number[]> =
  CheckShape<S> extends true
    ? S['length'] extends P['length']
      ? Order<P> extends infer Found extends readonly number[]
        ? Permuted<S, Found>
        : NoPermutation<S, P>
      : NoPermutation<S, P>
    : CheckShape<S>

/** The axes of a permutation, counted from 0, found once for all shapes. */
type Order<P extends readonly number[]> = Axes<'transpose', P, P>
type NoPermutation<S extends Shape, P extends readonly number[]> =
  Axes<'transpose', S, P> extends infer Reason
    ? Reason extends readonly number[]
      ? ShapeError<ReturnType<typeof wrongCount<List<P>, Show<S>>>>
      : Reason
    : never
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
export type TransposeError<S extends Shape, P extends readonly number[]> = Fault<Transpose<S, P>, S>

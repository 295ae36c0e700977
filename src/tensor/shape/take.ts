import * as E from '../../either/index.ts'
import { type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type CheckBoth, type CheckShape } from './check.ts'
import { axisOf, type AxisOrName, type NamedAxis, type Splice } from './axis.ts'

/**
 * Slices taken along an axis by an index of any rank: the dims of the index replace the axis.
 * @example Take<['vocab', 'hidden'], ['batch', 'seq'], 0> is ['batch', 'seq', 'hidden']
 */
export type Take<S extends Shape, Index extends Shape, A extends number> = Slices<'take', S, Index, A>
type Slices<Op extends string, S extends Shape, Index extends Shape, A extends number> =
  CheckShape<S> extends true ? Splice<Op, S, A, Index> : CheckShape<S>
const slicesOf =
  (op: string) =>
  (shape: Shape, index: Shape, axis: number): E.Either<string, Shape> =>
    checked([shape, index], () =>
      E.map(axisOf(op, shape, axis), at => shape.flatMap((dim, i) => (i === at ? index : [dim]))),
    )
/** The twin of the type. */
export const take = slicesOf('take')
/** `unknown`, or the error for the argument's type. */
export type TakeError<S extends Shape, Index extends Shape, A extends number> = Fault<Take<S, Index, A>, S>

const otherValues = <V extends string, S extends string>(values: V, taken: S) =>
  `put: values ${values} are not ${taken}` as const

/**
 * The shape after replacing the slices at an index: it stays the same, and the values must have the shape of a take.
 * @example Put<['hidden', 'ffn'], [8], [8, 'ffn'], 0> is ['hidden', 'ffn']
 */
export type Put<S extends Shape, Index extends Shape, Values extends Shape, A extends number> =
  Slices<'put', S, Index, A> extends infer Taken
    ? { readonly t: Taken } extends { readonly t: ShapeError<string> }
      ? Taken
      : Same<Readonly<Values>, Taken> extends true
        ? Readonly<S>
        : OtherValues<Values, Taken>
    : never

type OtherValues<Values extends Shape, Taken> = Taken extends Shape
  ? ShapeError<ReturnType<typeof otherValues<Show<Values>, Show<Taken>>>>
  : never
/** The twin of the type. */
export const put = (shape: Shape, index: Shape, values: Shape, axis: number): E.Either<string, Shape> =>
  E.flatMap(slicesOf('put')(shape, index, axis), taken =>
    show(values) === show(taken) ? E.right(shape) : E.left(otherValues(show(values), show(taken))),
  )
/** `unknown`, or the error for the argument's type. */
export type PutError<S extends Shape, Index extends Shape, Values extends Shape, A extends number> = Fault<
  Put<S, Index, Values, A>,
  S
>

const notAlong = <I extends string, A extends AxisOrName, S extends string>(index: I, axis: A, shape: S) =>
  `takeAlong: the index ${index} does not go along axis ${axis} of ${shape}` as const

/**
 * Elements taken along an axis, each by an index of its own: the shape is that of the index, which differs from x on
 * that axis alone.
 * @example TakeAlong<['batch', 'vocab'], ['batch', 5], -1> is ['batch', 5]
 */
export type TakeAlong<S extends Shape, Index extends Shape, A extends AxisOrName> =
  CheckBoth<S, Index> extends true
    ? Numbered<S, A> extends infer At
      ? At extends number
        ? Elsewhere<Splice<'takeAlong', S, At, readonly []>, S, Index, At, A>
        : At
      : never
    : CheckBoth<S, Index>

/** The number of an axis, which may count from the end of `[...L, D]`. */
type Numbered<S extends Shape, A extends AxisOrName> = [A] extends [string] ? NamedAxis<'takeAlong', S, A> : A
type Elsewhere<Others, S extends Shape, Index extends Shape, At extends number, A extends AxisOrName> = {
  readonly o: Others
} extends { readonly o: ShapeError<string> }
  ? Others
  : Same<Others, Splice<'takeAlong', Index, At, readonly []>> extends true
    ? Readonly<Index>
    : ShapeError<ReturnType<typeof notAlong<Show<Index>, A, Show<S>>>>
/** The twin of the type. */
export const takeAlong = (shape: Shape, index: Shape, axis: AxisOrName): E.Either<string, Shape> =>
  checked([shape, index], () =>
    E.flatMap(axisOf('takeAlong', shape, axis), at =>
      show(shape.toSpliced(at, 1)) === show(index.toSpliced(at, 1)) && index.length === shape.length
        ? E.right(index)
        : E.left(notAlong(show(index), axis, show(shape))),
    ),
  )
/** `unknown`, or the error for the argument's type. */
export type TakeAlongError<S extends Shape, Index extends Shape, A extends AxisOrName> = Fault<
  TakeAlong<S, Index, A>,
  S
>

import * as E from 'fp-ts/lib/Either.js'
import { type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { Same } from './generic.ts'
import { checked, type CheckShapes } from './check.ts'
import { axisOf, type Splice } from './axis.ts'

/**
 * Slices taken along an axis by an index of any rank: the dims of the index replace the axis.
 * @example Take<['vocab', 'hidden'], ['batch', 'seq'], 0> is ['batch', 'seq', 'hidden']
 */
export type Take<S extends Shape, Index extends Shape, A extends number> = Slices<'take', S, Index, A>
type Slices<Op extends string, S extends Shape, Index extends Shape, A extends number> =
  CheckShapes<readonly [S]> extends true ? Splice<Op, S, A, Index> : CheckShapes<readonly [S]>
const slicesOf =
  (op: string) =>
  (shape: Shape, index: Shape, axis: number): E.Either<string, Shape> =>
    checked([shape, index], () =>
      E.Functor.map(axisOf(op, shape, axis), at => shape.flatMap((dim, i) => (i === at ? index : [dim]))),
    )
/** The twin of the type. */
export const take = slicesOf('take')
/** `unknown`, or the error for the argument's type. */
export type TakeError<S extends Shape, Index extends Shape, A extends number> = Fault<Take<S, Index, A>>

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
  Put<S, Index, Values, A>
>

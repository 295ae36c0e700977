import * as E from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import type { CheckName, CheckShape } from './check.ts'
import type { DimAt, Splice } from './axis.ts'
import { checkedParts, type CheckStart } from './start.ts'
import { exceeds, showSum, type Exceeds, type ShowSum } from './sum.ts'

const beyond = <P extends string, D extends Dim, S extends string>(parts: P, dim: D, shape: S) =>
  `slice: ${parts} is beyond ${dim} in ${shape}` as const

/**
 * A contiguous part of an axis, of size `As`, that begins after the sizes `Start` (none: at 0). Certain facts are
 * compared here, the rest when dims are bound.
 * @example Slice<['batch', 6], -1, 2, [4]> is ['batch', 2], Slice<['batch', '2*half'], 1, 'half', ['half']> is ['batch', 'half']
 */
export type Slice<S extends Shape, A extends number, As extends Dim, Start extends Shape = readonly []> =
  CheckShape<S> extends true
    ? CheckName<As> extends true
      ? CheckStart<Start> extends true
        ? Fits<DimAt<S, A>, S, readonly [...Start, As]> extends true
          ? Splice<'slice', S, A, readonly [As]>
          : Fits<DimAt<S, A>, S, readonly [...Start, As]>
        : CheckStart<Start>
      : CheckName<As>
    : CheckShape<S>

/** `true` if a part that ends after the sizes `End` may lie within the dim, if there is one; otherwise the error. */
type Fits<D extends Shape, S extends Shape, End extends Shape> =
  HeadIsGeneric<D> extends true
    ? true
    : D extends readonly [infer Whole extends Dim]
      ? Exceeds<End, Whole> extends true
        ? ShapeError<ReturnType<typeof beyond<ShowSum<End>, Whole, Show<S>>>>
        : true
      : true

/** The twin of the type. */
export const slice = (shape: Shape, axis: number, as: Dim, start: Shape = []): E.Either<string, Shape> =>
  checkedParts('slice', [shape, axis, as, start], (at, dim) =>
    exceeds([...start, as], dim)
      ? E.left(beyond(showSum([...start, as]), dim, show(shape)))
      : E.right(shape.with(at, as)),
  )
/** `unknown`, or the error for the argument's type. */
export type SliceError<S extends Shape, A extends number, As extends Dim, Start extends Shape = readonly []> = Fault<
  Slice<S, A, As, Start>,
  S
>

import * as E from 'fp-ts/lib/Either.js'
import type { Dim, Fault, Shape, ShapeError, Show } from './dim.ts'
import { show } from './dim.ts'
import type { HeadIsNumber } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShapes } from './check.ts'
import { axisOf, type DimAt, type Splice } from './axis.ts'
import { showSum, sumDigits, type ShowSum, type SumDigits } from './sum.ts'
import { digitsAtMost, type DigitsAtMost } from './digits.ts'

const beyond = <P extends string, D extends number, S extends string>(parts: P, dim: D, shape: S) =>
  `slice: ${parts} is beyond ${dim} in ${shape}` as const

/**
 * A contiguous part of an axis, of size `As`, that begins after the sizes `Start` (nothing: at 0).
 * Numbers are compared here, names when dims are bound.
 * @example Slice<['batch', 6], -1, 2, [4]> is ['batch', 2], Slice<['batch', '2*half'], 1, 'half', ['half']> is ['batch', 'half']
 */
export type Slice<S extends Shape, A extends number, As extends Dim, Start extends Shape = readonly []> =
  CheckShapes<readonly [S]> extends true
    ? CheckName<As> extends true
      ? Fits<DimAt<S, A>, S, readonly [...Start, As]> extends true ? Splice<'slice', S, A, readonly [As]>
        : Fits<DimAt<S, A>, S, readonly [...Start, As]>
      : CheckName<As>
    : CheckShapes<readonly [S]>

/** Whether what ends after the sizes `End` lies within the dim, where it is there and known; else the error. */
type Fits<D extends Shape, S extends Shape, End extends Shape> =
  HeadIsNumber<D> extends true
    ? [SumDigits<End>] extends [never] ? true
    : DigitsAtMost<SumDigits<End>, `${D[0] & number}`> extends true ? true
    : ShapeError<ReturnType<typeof beyond<ShowSum<End>, D[0] & number, Show<S>>>>
    : true

/** The twin of the type. */
export const slice = (shape: Shape, axis: number, as: Dim, start: Shape = []): E.Either<string, Shape> => checked([shape], () =>
  E.flatMap(checkDim(as, 'as'), () => E.flatMap(axisOf('slice', shape, axis), at => {
    const dim = shape[at], end = sumDigits([...start, as])
    return typeof dim === 'number' && end !== undefined && !digitsAtMost(end, String(dim))
      ? E.left(beyond(showSum([...start, as]), dim, show(shape)))
      : E.right(shape.map((d, i) => i === at ? as : d))
  })))
/** `unknown`, or the error that the argument carries. */
export type SliceError<S extends Shape, A extends number, As extends Dim, Start extends Shape = readonly []> = Fault<Slice<S, A, As, Start>>

import * as E from 'fp-ts/lib/Either.js'
import type { Dim, Fault, Shape, ShapeError, Show } from './dim.ts'
import { show } from './dim.ts'
import { checkDim, checked, type CheckShapes, type DimError } from './check.ts'
import { axisOf, type Axis, type Replace } from './axis.ts'
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
  [CheckShapes<readonly [S]> | DimError<As, 'as'>] extends [never]
    ? Axis<'slice', S, A> extends infer At ? At extends number ? Cut<S, At, As, readonly [...Start, As]> : At : never
    : [CheckShapes<readonly [S]>] extends [never] ? DimError<As, 'as'> : CheckShapes<readonly [S]>

/** `End` are the sizes up to where the slice ends. */
type Cut<S extends Shape, At extends number, As extends Dim, End extends Shape> =
  S[At] extends infer D extends number
    ? [SumDigits<End>] extends [never] ? Replace<S, At, As>
    : DigitsAtMost<SumDigits<End>, `${D}`> extends true ? Replace<S, At, As> : ShapeError<ReturnType<typeof beyond<ShowSum<End>, D, Show<S>>>>
    : Replace<S, At, As>

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

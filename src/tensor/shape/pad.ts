import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsGeneric, IsEmpty } from './generic.ts'
import { type CheckName, type CheckShape, type DimError } from './check.ts'
import { type DimAt, type Splice } from './axis.ts'
import { checkedParts, type CheckStart } from './start.ts'
import {
  addDigits,
  digitsAtMost,
  multiplyDigits,
  type AddDigits,
  type DigitsAtMost,
  type MultiplyDigits,
} from './digits.ts'
import { exceeds, showSum, sumDigits, type Exceeds, type ShowSum, type SumDigits } from './sum.ts'

const beyond = <P extends string, As extends Dim, S extends string>(parts: P, as: As, shape: S) =>
  `pad: ${parts} in ${shape} is beyond ${as}` as const

/**
 * A tensor padded along an axis to the size `As`; it begins after the sizes `Start` (none: at 0). It is the shape of
 * which the operand is a slice.
 * @example Pad<['batch', 4], 1, 6, [1]> is ['batch', 6], Pad<['seq', 8], 0, 'padded'> is ['padded', 8]
 */
export type Pad<S extends Shape, A extends number, As extends Dim, Start extends Shape = readonly []> =
  CheckShape<S> extends true
    ? CheckName<As> extends true
      ? CheckStart<Start> extends true
        ? Fits<DimAt<S, A>, readonly [...Start, ...DimAt<S, A>], As, S> extends true
          ? Splice<'pad', S, A, readonly [As]>
          : Fits<DimAt<S, A>, readonly [...Start, ...DimAt<S, A>], As, S>
        : CheckStart<Start>
      : CheckName<As>
    : CheckShape<S>

/** `true` if parts may lie within a dim, or if there is no axis, which is refused elsewhere. */
type Fits<D extends Shape, Parts extends Shape, As extends Dim, S extends Shape> =
  IsEmpty<D> extends true
    ? true
    : Exceeds<Parts, As> extends true
      ? ShapeError<ReturnType<typeof beyond<ShowSum<Parts>, As, Show<S>>>>
      : true

/** The twin of the type. */
export const pad = (shape: Shape, axis: number, as: Dim, start: Shape = []): E.Either<string, Shape> =>
  checkedParts('pad', [shape, axis, as, start], (at, dim) =>
    exceeds([...start, dim], as)
      ? E.left(beyond(showSum([...start, dim]), as, show(shape)))
      : E.right(shape.with(at, as)),
  )

const outside = <As extends Dim, N extends Dim, P extends string, D extends Dim, S extends string>(
  as: As,
  step: N,
  start: P,
  dim: D,
  shape: S,
) => `stride: ${as} in steps of ${step} from ${start} is beyond ${dim} in ${shape}` as const

/**
 * Every so many elements of an axis, `As` of them, from the sum of the sizes `Start` on (none: from 0).
 * @example Stride<['batch', 6], 1, 3, 2> is ['batch', 3]
 */
export type Stride<
  S extends Shape,
  A extends number,
  As extends Dim,
  Step extends number,
  Start extends Shape = readonly [],
> =
  CheckShape<S> extends true
    ? CheckName<As> extends true
      ? [DimError<Step, 'step'>] extends [never]
        ? CheckStart<Start> extends true
          ? Reached<DimAt<S, A>, S, As, Step, Start> extends true
            ? Splice<'stride', S, A, readonly [As]>
            : Reached<DimAt<S, A>, S, As, Step, Start>
          : CheckStart<Start>
        : DimError<Step, 'step'>
      : CheckName<As>
    : CheckShape<S>

/** Compares start + (as − 1) step < dim, if all are numbers, with the sums of both sides and step. */
type Reached<D extends Shape, S extends Shape, As extends Dim, Step extends number, Start extends Shape> =
  HeadIsGeneric<D> extends true
    ? true
    : D extends readonly [infer Wide extends number]
      ? As extends number
        ? [SumDigits<Start>] extends [never]
          ? true
          : DigitsAtMost<
                AddDigits<AddDigits<SumDigits<Start>, MultiplyDigits<`${As}`, `${Step}`>>, '1'>,
                AddDigits<`${Wide}`, `${Step}`>
              > extends true
            ? true
            : ShapeError<ReturnType<typeof outside<As, Step, ShowSum<Start>, Wide, Show<S>>>>
        : true
      : true
/** The twin of the type. */
export const stride = (shape: Shape, axis: number, as: Dim, step: number, start: Shape = []): E.Either<string, Shape> =>
  checkedParts('stride', [shape, axis, as, start, step], (at, dim) => {
    const from = sumDigits(start)
    const isOutside =
      typeof dim === 'number' &&
      typeof as === 'number' &&
      from !== undefined &&
      !digitsAtMost(
        addDigits(addDigits(from, multiplyDigits(String(as), String(step))), '1'),
        addDigits(String(dim), String(step)),
      )
    return isOutside ? E.left(outside(as, step, showSum(start), dim, show(shape))) : E.right(shape.with(at, as))
  })

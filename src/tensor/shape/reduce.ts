import * as E from 'fp-ts/lib/Either.js'
import type { Fault, Shape } from './dim.ts'
import { checked, type CheckShapes } from './check.ts'
import { axesOf, type Axes, type Splice } from './axis.ts'

/**
 * A reduction over one axis or several: their dims vanish, or stay as 1 with `keepDims`.
 * @example Reduce<['batch', 'seq', 'hidden'], -1> is ['batch', 'seq'], Reduce<['batch', 'hidden'], [0, 1], true> is [1, 1]
 */
export type Reduce<S extends Shape, A extends number | readonly number[], KeepDims extends boolean = false> =
  CheckShapes<readonly [S]> extends true
    ? [A] extends [readonly number[]]
      ? Axes<'reduce', S, A> extends infer Found
        ? Found extends readonly number[]
          ? Drop<S, Found[number], Kept<KeepDims>>
          : Found
        : never
      : Splice<'reduce', S, A & number, Kept<KeepDims>>
    : CheckShapes<readonly [S]>
type Kept<KeepDims extends boolean> = KeepDims extends true ? readonly [1] : readonly []
type Drop<
  S extends Shape,
  Axes extends number,
  Instead extends Shape,
  Seen extends readonly unknown[] = [],
  Out extends Shape = readonly [],
> = S extends readonly [infer First extends Shape[number], ...infer Rest extends Shape]
  ? Drop<
      Rest,
      Axes,
      Instead,
      [...Seen, 0],
      Seen['length'] extends Axes ? readonly [...Out, ...Instead] : readonly [...Out, First]
    >
  : Out
/** The twin of the type. */
export const reduce = (shape: Shape, axes: number | readonly number[], keepDims = false): E.Either<string, Shape> =>
  checked([shape], () =>
    E.Functor.map(axesOf('reduce', shape, typeof axes === 'number' ? [axes] : axes), found =>
      shape.flatMap((dim, axis) => (!found.includes(axis) ? [dim] : keepDims ? [1] : [])),
    ),
  )
/** `unknown`, or the error for the argument's type. */
export type ReduceError<
  S extends Shape,
  A extends number | readonly number[],
  KeepDims extends boolean = false,
> = Fault<Reduce<S, A, KeepDims>>

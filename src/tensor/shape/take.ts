import * as E from 'fp-ts/lib/Either.js'
import type { Fault, Shape } from './dim.ts'
import { checked, type CheckShapes } from './check.ts'
import { axisOf, type Splice } from './axis.ts'

/**
 * Slices taken along an axis by an index of any rank: its dims stand in the place of the axis.
 * @example Take<['vocab', 'hidden'], ['batch', 'seq'], 0> is ['batch', 'seq', 'hidden']
 */
export type Take<S extends Shape, Index extends Shape, A extends number> =
  CheckShapes<readonly [S]> extends true ? Splice<'take', S, A, Index> : CheckShapes<readonly [S]>
/** The twin of the type. */
export const take = (shape: Shape, index: Shape, axis: number): E.Either<string, Shape> => checked([shape, index], () =>
  E.Functor.map(axisOf('take', shape, axis), at => shape.flatMap((dim, i) => i === at ? index : [dim])))
/** `unknown`, or the error that the argument carries. */
export type TakeError<S extends Shape, Index extends Shape, A extends number> = Fault<Take<S, Index, A>>

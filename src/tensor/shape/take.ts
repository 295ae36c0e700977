import * as E from 'fp-ts/lib/Either.js'
import type { Fault, Shape, ShapeError, Show } from './dim.ts'
import { show } from './dim.ts'
import { checked, type CheckShapes } from './check.ts'
import { axisOf, type Axis, type Replace } from './axis.ts'

const indexRank = <S extends string>(index: S) => `take: the index ${index} needs exactly 1 dim` as const

/**
 * Slices taken along an axis by an index of shape `[R]`: the axis becomes R.
 * @example Take<['hidden', 'ffn'], [8], 0> is [8, 'ffn']
 */
export type Take<S extends Shape, Index extends Shape, A extends number> =
  [CheckShapes<readonly [S, Index]>] extends [never]
    ? Axis<'take', S, A> extends infer At
      ? At extends number ? Index extends readonly [infer R] ? Replace<S, At, R> : ShapeError<ReturnType<typeof indexRank<Show<Index>>>> : At
      : never
    : CheckShapes<readonly [S, Index]>
/** The twin of the type. */
export const take = (shape: Shape, index: Shape, axis: number): E.Either<string, Shape> => checked([shape, index], () =>
  E.flatMap(axisOf('take', shape, axis), at =>
    index.length === 1 ? E.right(shape.flatMap((dim, i) => i === at ? index : [dim])) : E.left(indexRank(show(index)))))
/** `unknown`, or the error that the argument carries. */
export type TakeError<S extends Shape, Index extends Shape, A extends number> = Fault<Take<S, Index, A>>

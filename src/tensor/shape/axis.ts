import * as E from 'fp-ts/lib/Either.js'
import type { List, Shape, ShapeError, Show } from './dim.ts'
import { show } from './dim.ts'
import type { IsLiteral } from './check.ts'

const notLiteral = <Op extends string>(op: Op) => `${op}: the axis is not one literal number` as const
const outOfRange = <Op extends string, A extends number, S extends string>(op: Op, axis: A, shape: S) =>
  `${op}: axis ${axis} is out of range for ${shape}` as const
const repeated = <Op extends string, A extends number, All extends string>(op: Op, axis: A, axes: All) =>
  `${op}: axis ${axis} is repeated in [${axes}]` as const

/** The axis that lies `N` from the end, -1 being the last. */
type FromEnd<S extends Shape, N extends string, Seen extends readonly unknown[] = [0]> =
  S extends readonly [...infer Init extends Shape, unknown]
    ? `${Seen['length'] & number}` extends N ? Init['length'] : FromEnd<Init, N, readonly [...Seen, 0]>
    : never

type Place<S extends Shape, A extends number> = `${A}` extends `-${infer N}` ? FromEnd<S, N> : `${A}` extends keyof S ? A : never

/**
 * An axis counted from 0; a negative one counts from the end.
 * @example Axis<'take', ['batch', 'hidden'], -1> is 1
 */
export type Axis<Op extends string, S extends Shape, A extends number> =
  IsLiteral<A> extends false ? ShapeError<ReturnType<typeof notLiteral<Op>>>
  : [Place<S, A>] extends [never] ? ShapeError<ReturnType<typeof outOfRange<Op, A, Show<S>>>> : Place<S, A>
/** The twin of the type. */
export const axisOf = (op: string, shape: Shape, axis: number): E.Either<string, number> =>
  !Number.isInteger(axis) || axis >= shape.length || axis < -shape.length
    ? E.left(outOfRange(op, axis, show(shape)))
    : E.right(axis < 0 ? axis + shape.length : axis)

/**
 * Several different axes, each counted from 0.
 * @example Axes<'reduce', ['batch', 'seq', 'hidden'], [0, -1]> is [0, 2]
 */
export type Axes<Op extends string, S extends Shape, A extends readonly number[]> = CollectAxes<Op, S, A, A>
type CollectAxes<
  Op extends string, S extends Shape, Left extends readonly number[], All extends readonly number[], Out extends readonly number[] = readonly [],
> =
  Left extends readonly [infer First extends number, ...infer Rest extends readonly number[]]
    ? Axis<Op, S, First> extends infer Found
      ? Found extends number
        ? Found extends Out[number]
          ? ShapeError<ReturnType<typeof repeated<Op, First, List<All>>>>
          : CollectAxes<Op, S, Rest, All, readonly [...Out, Found]>
        : Found
      : never
    : number extends Left['length'] ? ShapeError<ReturnType<typeof notLiteral<Op>>> : Out
/** The twin of the type. */
export const axesOf = (op: string, shape: Shape, axes: readonly number[]): E.Either<string, readonly number[]> =>
  axes.reduce<E.Either<string, readonly number[]>>((found, axis) => E.flatMap(found, done =>
    E.flatMap(axisOf(op, shape, axis), place =>
      done.includes(place) ? E.left(repeated(op, axis, axes.join(', '))) : E.right([...done, place]))), E.right([]))

/** The shape with the dim on an axis replaced. */
export type Replace<S extends Shape, A extends number, D> = { readonly [K in keyof S]: K extends `${A}` ? D : S[K] }

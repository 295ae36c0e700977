import * as E from 'fp-ts/lib/Either.js'
import { type Dim, type List, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { IsLiteral } from './check.ts'

const notLiteral = <Op extends string>(op: Op) => `${op}: the axis is not one literal number` as const
const outOfRange = <Op extends string, A extends number, S extends string>(op: Op, axis: A, shape: S) =>
  `${op}: axis ${axis} is out of range for ${shape}` as const
const repeated = <Op extends string, A extends number, All extends string>(op: Op, axis: A, axes: All) =>
  `${op}: axis ${axis} is repeated in [${axes}]` as const

/** The axis that lies `N` from the end, -1 being the last. */
type FromEnd<S extends Shape, N extends string, Seen extends readonly unknown[] = [0]> = S extends readonly [
  ...infer Init extends Shape,
  unknown,
]
  ? `${Seen['length'] & number}` extends N
    ? Init['length']
    : FromEnd<Init, N, readonly [...Seen, 0]>
  : never

type Place<S extends Shape, A extends number> = `${A}` extends `-${infer N}`
  ? FromEnd<S, N>
  : `${A}` extends keyof S
    ? A
    : never

/**
 * An axis counted from 0; a negative one counts from the end.
 * @example Axis<'take', ['batch', 'hidden'], -1> is 1
 */
export type Axis<Op extends string, S extends Shape, A extends number> =
  IsLiteral<A> extends false
    ? ShapeError<ReturnType<typeof notLiteral<Op>>>
    : [Place<S, A>] extends [never]
      ? ShapeError<ReturnType<typeof outOfRange<Op, A, Show<S>>>>
      : Place<S, A>
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
  Op extends string,
  S extends Shape,
  Left extends readonly number[],
  All extends readonly number[],
  Out extends readonly number[] = readonly [],
> = Left extends readonly [infer First extends number, ...infer Rest extends readonly number[]]
  ? Axis<Op, S, First> extends infer Found
    ? Found extends number
      ? Found extends Out[number]
        ? ShapeError<ReturnType<typeof repeated<Op, First, List<All>>>>
        : CollectAxes<Op, S, Rest, All, readonly [...Out, Found]>
      : Found
    : never
  : number extends Left['length']
    ? ShapeError<ReturnType<typeof notLiteral<Op>>>
    : Out
/** The twin of the type. */
export const axesOf = (op: string, shape: Shape, axes: readonly number[]): E.Either<string, readonly number[]> =>
  axes.reduce<E.Either<string, readonly number[]>>(
    (found, axis) =>
      E.flatMap(found, done =>
        E.flatMap(axisOf(op, shape, axis), place =>
          done.includes(place) ? E.left(repeated(op, axis, axes.join(', '))) : E.right([...done, place]),
        ),
      ),
    E.right([]),
  )

/**
 * The shape with other dims in place of the one on an axis. It counts from the end that the axis counts from, so that
 * the last axes of `[...L, D]` are known.
 * @example Splice<'take', ['batch', 'hidden'], -1, [8]> is ['batch', 8]
 */
export type Splice<Op extends string, S extends Shape, A extends number, Instead extends Shape> =
  IsLiteral<A> extends false
    ? ShapeError<ReturnType<typeof notLiteral<Op>>>
    : `${A}` extends `-${infer N}`
      ? SpliceFromEnd<Op, A, S, S, N, Instead>
      : SpliceFromStart<Op, A, S, S, `${A}`, Instead>
type SpliceFromEnd<
  Op extends string,
  A extends number,
  Whole extends Shape,
  S extends Shape,
  N extends string,
  Instead extends Shape,
  Tail extends Shape = readonly [],
> = { readonly s: S } extends { readonly s: readonly [...infer Rest extends Shape, infer D extends Dim] }
  ? `${[...Tail, 0]['length'] & number}` extends N
    ? readonly [...Rest, ...Instead, ...Tail]
    : SpliceFromEnd<Op, A, Whole, Rest, N, Instead, readonly [D, ...Tail]>
  : ShapeError<ReturnType<typeof outOfRange<Op, A, Show<Whole>>>>
type SpliceFromStart<
  Op extends string,
  A extends number,
  Whole extends Shape,
  S extends Shape,
  N extends string,
  Instead extends Shape,
  Head extends Shape = readonly [],
> = { readonly s: S } extends { readonly s: readonly [infer D extends Dim, ...infer Rest extends Shape] }
  ? `${Head['length'] & number}` extends N
    ? readonly [...Head, ...Instead, ...Rest]
    : SpliceFromStart<Op, A, Whole, Rest, N, Instead, readonly [...Head, D]>
  : ShapeError<ReturnType<typeof outOfRange<Op, A, Show<Whole>>>>

/** The dim on an axis, in a tuple of its own; an empty one if there is no such axis. */
export type DimAt<S extends Shape, A extends number> = `${A}` extends `-${infer N}`
  ? DimFromEnd<S, N>
  : DimFromStart<S, `${A}`>
type DimFromEnd<S extends Shape, N extends string, Seen extends readonly unknown[] = [0]> = { readonly s: S } extends {
  readonly s: readonly [...infer Rest extends Shape, infer D extends Dim]
}
  ? `${Seen['length'] & number}` extends N
    ? readonly [D]
    : DimFromEnd<Rest, N, [...Seen, 0]>
  : readonly []
type DimFromStart<S extends Shape, N extends string, Seen extends readonly unknown[] = []> = { readonly s: S } extends {
  readonly s: readonly [infer D extends Dim, ...infer Rest extends Shape]
}
  ? `${Seen['length'] & number}` extends N
    ? readonly [D]
    : DimFromStart<Rest, N, [...Seen, 0]>
  : readonly []

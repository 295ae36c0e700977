import * as E from '../../either/index.ts'
import { type Dim, type List, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { IsLiteral } from './check.ts'

const notLiteral = <Op extends string>(op: Op) => `${op}: the axis is not one literal number` as const
const notName = <Op extends string>(op: Op) => `${op}: the axis is not one literal name` as const
const outOfRange = <Op extends string, A extends number, S extends string>(op: Op, axis: A, shape: S) =>
  `${op}: axis ${axis} is out of range for ${shape}` as const
const repeated = <Op extends string, A extends AxisOrName, All extends string>(op: Op, axis: A, axes: All) =>
  `${op}: axis ${axis} is repeated in [${axes}]` as const
const noDim = <Op extends string, N extends string, S extends string>(op: Op, name: N, shape: S) =>
  `${op}: ${shape} has no dim ${name}` as const
const severalDims = <Op extends string, N extends string, C extends number, S extends string>(
  op: Op,
  name: N,
  times: C,
  shape: S,
) => `${op}: ${name} is ${times} dims of ${shape}: give the number of the axis` as const

/** An axis by its number, which counts from the end if it is negative, or by the name of a dim that occurs once. */
export type AxisOrName = number | string

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

/** The axis with a name. */
type Named<Op extends string, S extends Shape, N extends string> =
  Places<S, N> extends infer Found extends readonly number[]
    ? Found extends readonly [infer At extends number]
      ? At
      : Found extends readonly []
        ? ShapeError<ReturnType<typeof noDim<Op, N, Show<S>>>>
        : ShapeError<ReturnType<typeof severalDims<Op, N, Found['length'], Show<S>>>>
    : never
type Places<
  S extends Shape,
  N extends string,
  Seen extends readonly unknown[] = [],
  Found extends readonly number[] = readonly [],
> = S extends readonly [infer D extends Dim, ...infer Rest extends Shape]
  ? Places<Rest, N, [...Seen, 0], [D] extends [N] ? readonly [...Found, Seen['length'] & number] : Found>
  : Found

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
/**
 * The same for an axis that may be a name.
 * @example NamedAxis<'reduce', ['batch', 'hidden'], 'hidden'> is 1
 */
export type NamedAxis<Op extends string, S extends Shape, A extends AxisOrName> = [A] extends [string]
  ? IsLiteral<A> extends false
    ? ShapeError<ReturnType<typeof notName<Op>>>
    : Named<Op, S, A>
  : Axis<Op, S, A & number>
/** The twin of both types. */
export const axisOf = (op: string, shape: Shape, axis: AxisOrName): E.Either<string, number> => {
  if (typeof axis === 'number')
    return !Number.isInteger(axis) || axis >= shape.length || axis < -shape.length
      ? E.left(outOfRange(op, axis, show(shape)))
      : E.right(axis < 0 ? axis + shape.length : axis)
  const [at, ...others] = shape.flatMap((dim, i) => (dim === axis ? [i] : []))
  return at === undefined
    ? E.left(noDim(op, axis, show(shape)))
    : others.length > 0
      ? E.left(severalDims(op, axis, others.length + 1, show(shape)))
      : E.right(at)
}

/**
 * Several different axes, each counted from 0.
 * @example Axes<'reduce', ['batch', 'seq', 'hidden'], ['batch', -1]> is [0, 2]
 */
export type Axes<Op extends string, S extends Shape, A extends readonly AxisOrName[]> = CollectAxes<Op, S, A, A>
type CollectAxes<
  Op extends string,
  S extends Shape,
  Left extends readonly AxisOrName[],
  All extends readonly AxisOrName[],
  Out extends readonly number[] = readonly [],
> = Left extends readonly [infer First extends AxisOrName, ...infer Rest extends readonly AxisOrName[]]
  ? NamedAxis<Op, S, First> extends infer Found
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
export const axesOf = (op: string, shape: Shape, axes: readonly AxisOrName[]): E.Either<string, readonly number[]> =>
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
/** The same for an axis that may be a name. */
export type NamedSplice<Op extends string, S extends Shape, A extends AxisOrName, Instead extends Shape> = [A] extends [
  string,
]
  ? NamedAxis<Op, S, A> extends infer At
    ? At extends number
      ? Splice<Op, S, At, Instead>
      : At
    : never
  : Splice<Op, S, A & number, Instead>
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

/**
 * The shape with a dim inserted, so that it stands on the axis of the result; a negative axis counts from the end of
 * the result.
 * @example Insert<'stack', ['batch', 'hidden'], -1, 2> is ['batch', 'hidden', 2]
 */
export type Insert<Op extends string, S extends Shape, A extends number, D extends Dim> =
  IsLiteral<A> extends false
    ? ShapeError<ReturnType<typeof notLiteral<Op>>>
    : `${A}` extends `-${infer N}`
      ? InsertFromEnd<Op, A, S, S, N, D>
      : InsertFromStart<Op, A, S, S, `${A}`, D>
type InsertFromEnd<
  Op extends string,
  A extends number,
  Whole extends Shape,
  S extends Shape,
  N extends string,
  New extends Dim,
  Tail extends Shape = readonly [],
> = `${[...Tail, 0]['length'] & number}` extends N
  ? readonly [...S, New, ...Tail]
  : { readonly s: S } extends { readonly s: readonly [...infer Rest extends Shape, infer D extends Dim] }
    ? InsertFromEnd<Op, A, Whole, Rest, N, New, readonly [D, ...Tail]>
    : ShapeError<ReturnType<typeof outOfRange<Op, A, Show<Whole>>>>
type InsertFromStart<
  Op extends string,
  A extends number,
  Whole extends Shape,
  S extends Shape,
  N extends string,
  New extends Dim,
  Head extends Shape = readonly [],
> = `${Head['length'] & number}` extends N
  ? readonly [...Head, New, ...S]
  : { readonly s: S } extends { readonly s: readonly [infer D extends Dim, ...infer Rest extends Shape] }
    ? InsertFromStart<Op, A, Whole, Rest, N, New, readonly [...Head, D]>
    : ShapeError<ReturnType<typeof outOfRange<Op, A, Show<Whole>>>>
/** The twin of the type. */
export const insert = (op: string, shape: Shape, axis: number, dim: Dim): E.Either<string, Shape> =>
  !Number.isInteger(axis) || axis > shape.length || axis < -shape.length - 1
    ? E.left(outOfRange(op, axis, show(shape)))
    : E.right(shape.toSpliced(axis < 0 ? axis + shape.length + 1 : axis, 0, dim))

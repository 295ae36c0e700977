import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import { checked, type CheckBoth } from './check.ts'
import { exceeds, type Exceeds } from './sum.ts'

const otherRank = <Op extends string, P extends string, S extends string>(op: Op, part: P, shape: S) =>
  `${op}: ${part} and ${shape} differ in rank` as const
const beyond = <Op extends string, P extends Dim, D extends Dim, S extends string>(op: Op, part: P, dim: D, shape: S) =>
  `${op}: ${part} is beyond ${dim} in ${shape}` as const

/**
 * A part of a tensor whose place is known only when it runs: `true` if each of its dims may lie within that of the
 * tensor.
 */
type Fits<Op extends string, S extends Shape, Part extends Shape> = Part['length'] extends S['length']
  ? EachFits<Op, S, Part, S>
  : ShapeError<ReturnType<typeof otherRank<Op, Show<Part>, Show<S>>>>
// it asks of a parameter, because `tsc` would decide at the declaration for a tuple that is built on the spot
type Lies<Op extends string, P extends Shape, D extends Dim, Whole extends Shape> =
  Exceeds<P, D> extends true ? ShapeError<ReturnType<typeof beyond<Op, P[0] & Dim, D, Show<Whole>>>> : true
type EachFits<Op extends string, S extends Shape, Part extends Shape, Whole extends Shape> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? Part extends readonly [infer P extends Dim, ...infer More extends Shape]
    ? HeadIsGeneric<S> extends true
      ? EachFits<Op, Rest, More, Whole>
      : Lies<Op, readonly [P], D, Whole> extends true
        ? EachFits<Op, Rest, More, Whole>
        : Lies<Op, readonly [P], D, Whole>
    : never
  : true

/**
 * The shape of a part of a tensor that begins where numbers of the program say: that of its sizes.
 * @example DynamicSlice<['batch', 'seq'], ['batch', 1]> is ['batch', 1]
 */
export type DynamicSlice<S extends Shape, Sizes extends Shape> =
  CheckBoth<S, Sizes> extends true
    ? Fits<'dynamicSlice', S, Sizes> extends true
      ? Readonly<Sizes>
      : Fits<'dynamicSlice', S, Sizes>
    : CheckBoth<S, Sizes>

/**
 * The shape of a tensor after a part of it is replaced that begins where numbers of the program say: it is unchanged.
 * @example DynamicUpdate<['batch', 'seq'], ['batch', 1]> is ['batch', 'seq']
 */
export type DynamicUpdate<S extends Shape, Part extends Shape> =
  CheckBoth<S, Part> extends true
    ? Fits<'dynamicUpdate', S, Part> extends true
      ? Readonly<S>
      : Fits<'dynamicUpdate', S, Part>
    : CheckBoth<S, Part>

const fits = (op: string, shape: Shape, part: Shape): E.Either<string, unknown> => {
  if (shape.length !== part.length) return E.left(otherRank(op, show(part), show(shape)))
  const at = shape.findIndex((dim, axis) => exceeds(part.slice(axis, axis + 1), dim))
  const [dim, wide] = [shape[at], part[at]]
  return dim === undefined || wide === undefined ? E.right(undefined) : E.left(beyond(op, wide, dim, show(shape)))
}
/** The twin of the type. */
export const dynamicSlice = (shape: Shape, sizes: Shape): E.Either<string, Shape> =>
  checked([shape, sizes], () => E.map(fits('dynamicSlice', shape, sizes), () => sizes))
/** The twin of the type. */
export const dynamicUpdate = (shape: Shape, part: Shape): E.Either<string, Shape> =>
  checked([shape, part], () => E.map(fits('dynamicUpdate', shape, part), () => shape))

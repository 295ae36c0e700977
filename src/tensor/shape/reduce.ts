import * as E from '../../either/index.ts'
import type { Fault, Shape } from './dim.ts'
import { checked, type CheckShape } from './check.ts'
import { axesOf, type Axes, type AxisOrName, type NamedSplice } from './axis.ts'

/** One axis or several, each by its number or the name of its dim. */
export type AxisList = AxisOrName | readonly AxisOrName[]

/**
 * A reduction over one axis or several, or over all: their dims vanish, or stay as 1 with `keepDims`.
 * @example Reduce<['batch', 'seq', 'hidden'], -1> is ['batch', 'seq'], Reduce<['batch', 'hidden'], ['batch', 1], true> is [1, 1]
 */
export type Reduce<S extends Shape, A extends AxisList | undefined = undefined, KeepDims extends boolean = false> = [
  A,
] extends [undefined]
  ? KeepDims extends true
    ? { readonly [K in keyof S]: 1 }
    : readonly []
  : CheckShape<S> extends true
    ? [A] extends [readonly AxisOrName[]]
      ? Axes<'reduce', S, A> extends infer Found
        ? Found extends readonly number[]
          ? Drop<S, Found[number], Kept<KeepDims>>
          : Found
        : never
      : NamedSplice<'reduce', S, A & AxisOrName, Kept<KeepDims>>
    : CheckShape<S>

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
export const reduce = (shape: Shape, axes?: AxisList, keepDims = false): E.Either<string, Shape> =>
  axes === undefined
    ? E.right(keepDims ? shape.map(() => 1) : [])
    : checked([shape], () =>
        E.map(axesOf('reduce', shape, typeof axes === 'object' ? axes : [axes]), found =>
          shape.flatMap((dim, axis) => (!found.includes(axis) ? [dim] : keepDims ? [1] : [])),
        ),
      )
/** `unknown`, or the error for the argument's type. */
export type ReduceError<
  S extends Shape,
  A extends AxisList | undefined = undefined,
  KeepDims extends boolean = false,
> = Fault<Reduce<S, A, KeepDims>, ReducedFrom<S, A>>
/** The shape that a reduction must know: it needs none to reduce everything. */
export type ReducedFrom<S extends Shape, A extends AxisList | undefined> = [A] extends [undefined] ? readonly [] : S

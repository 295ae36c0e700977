import * as E from '../../either/index.ts'
import { type Dim, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HasGenericDims, HeadIsOne, Same } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShape } from './check.ts'
import { axisOf, insert, type DimAt, type Insert, type Splice } from './axis.ts'

// Axes of size 1 come and go, and equal shapes are stacked along a new axis.

/**
 * The shape with a new axis of size 1; a negative axis counts from the end of the result.
 * @example ExpandDims<['batch', 'hidden'], 1> is ['batch', 1, 'hidden']
 */
export type ExpandDims<S extends Shape, A extends number> = Insert<'expandDims', S, A, 1>
/** The twin of the type. */
export const expandDims = (shape: Shape, axis: number): E.Either<string, Shape> => insert('expandDims', shape, axis, 1)

const notOne = <A extends number, D extends Dim, S extends string>(axis: A, dim: D, shape: S) =>
  `squeeze: axis ${axis} of ${shape} is ${dim}, not 1` as const

/**
 * The shape without an axis of size 1, or without all of them.
 * @example Squeeze<['batch', 1, 'hidden'], 1> and Squeeze<[1, 'batch', 'hidden']> are ['batch', 'hidden']
 */
export type Squeeze<S extends Shape, A extends number | undefined = undefined> =
  CheckShape<S> extends true
    ? [A] extends [number]
      ? SqueezeAt<S, A, DimAt<S, A>>
      : HasGenericDims<S> extends true
        ? ShapeError<'squeeze: a dim is a type parameter: specify the axis'>
        : WithoutOnes<S>
    : CheckShape<S>
type SqueezeAt<S extends Shape, A extends number, D extends Shape> =
  HeadIsOne<D> extends true
    ? Splice<'squeeze', S, A, readonly []>
    : D extends readonly [infer Wide extends Dim]
      ? ShapeError<ReturnType<typeof notOne<A, Wide, Show<S>>>>
      : Splice<'squeeze', S, A, readonly []>
type WithoutOnes<S extends Shape, Out extends Shape = readonly []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? WithoutOnes<Rest, D extends 1 ? Out : readonly [...Out, D]>
  : Out
/** The twin of the type. */
export const squeeze = (shape: Shape, axis?: number): E.Either<string, Shape> =>
  checked([shape], () =>
    axis === undefined
      ? E.right(shape.filter(dim => dim !== 1))
      : E.flatMap(axisOf('squeeze', shape, axis), at =>
          shape[at] === 1 ? E.right(shape.toSpliced(at, 1)) : E.left(notOne(axis, shape[at] ?? 1, show(shape))),
        ),
  )

const nothing = () => 'stack: there is nothing to stack' as const
const uncounted = () => 'stack: the number of tensors is not known: name it' as const
const differ = <A extends string, B extends string>(a: A, b: B) => `stack: ${a} and ${b} differ` as const
const otherCount = <N extends number, As extends number>(n: N, as: As) => `stack: ${n} tensors are not ${as}` as const

/**
 * Equal shapes, stacked along a new axis, whose dim is their number, or the name `As` of it.
 * @example Stack<[['batch'], ['batch']], 0> is [2, 'batch']
 */
export type Stack<Shapes extends readonly Shape[], A extends number, As extends Dim | undefined = undefined> =
  CheckGiven<As> extends true
    ? number extends Shapes['length']
      ? As extends Dim
        ? Insert<'stack', Shapes[number], A, As>
        : ShapeError<ReturnType<typeof uncounted>>
      : Shapes extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
        ? AllLike<First, Rest> extends true
          ? As extends Dim
            ? Counted<Shapes['length'], As> extends true
              ? Insert<'stack', First, A, As>
              : Counted<Shapes['length'], As>
            : Insert<'stack', First, A, Shapes['length']>
          : AllLike<First, Rest>
        : ShapeError<ReturnType<typeof nothing>>
    : CheckGiven<As>
type CheckGiven<As extends Dim | undefined> = [As] extends [undefined] ? true : CheckName<As & Dim>
type AllLike<First extends Shape, Rest extends readonly Shape[]> = Rest extends readonly [
  infer Next extends Shape,
  ...infer More extends readonly Shape[],
]
  ? Same<Next, First> extends true
    ? AllLike<First, More>
    : ShapeError<ReturnType<typeof differ<Show<First>, Show<Next>>>>
  : true
type Counted<N extends number, As extends Dim> = As extends number
  ? N extends As
    ? true
    : ShapeError<ReturnType<typeof otherCount<N, As>>>
  : true
/** The twin of the type. */
export const stack = (shapes: readonly Shape[], axis: number, as?: Dim): E.Either<string, Shape> =>
  E.flatMap(as === undefined ? E.right(undefined) : checkDim(as, 'as'), () => {
    const [first, ...rest] = shapes
    if (first === undefined) return E.left(nothing())
    const other = rest.find(next => show(next) !== show(first))
    if (other !== undefined) return E.left(differ(show(first), show(other)))
    return typeof as === 'number' && as !== shapes.length
      ? E.left(otherCount(shapes.length, as))
      : insert('stack', first, axis, as ?? shapes.length)
  })

/**
 * The shape itself, if it has such an axis.
 * @example OnAxis<'flip', ['batch', 'hidden'], -1> is ['batch', 'hidden']
 */
export type OnAxis<Op extends string, S extends Shape, A extends number> =
  CheckShape<S> extends true ? Splice<Op, S, A, DimAt<S, A>> : CheckShape<S>

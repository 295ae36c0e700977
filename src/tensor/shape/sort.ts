import * as E from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsGeneric } from './generic.ts'
import { checkDim, checked, type CheckName, type CheckShape } from './check.ts'
import { axisOf, type AxisOrName, type DimAt, type NamedSplice, type Splice } from './axis.ts'
import { exceeds, type Exceeds } from './sum.ts'

const beyond = <K extends Dim, D extends Dim, S extends string>(k: K, dim: D, shape: S) =>
  `topK: ${k} is beyond ${dim} in ${shape}` as const

/**
 * The shape of an op along an axis that changes no dim.
 * @example AlongAxis<'sort', ['batch', 'vocab'], -1> is ['batch', 'vocab']
 */
export type AlongAxis<Op extends string, S extends Shape, A extends AxisOrName> =
  CheckShape<S> extends true ? OnAxis<NamedSplice<Op, S, A, readonly []>, S> : CheckShape<S>

type OnAxis<Others, S extends Shape> = { readonly o: Others } extends { readonly o: readonly unknown[] }
  ? Readonly<S>
  : Others
/** The twin of the type. */
export const alongAxis = (op: string, shape: Shape, axis: AxisOrName): E.Either<string, Shape> =>
  checked([shape], () => E.map(axisOf(op, shape, axis), () => shape))
/** `unknown`, or the error for the argument's type. */
export type AlongAxisError<Op extends string, S extends Shape, A extends AxisOrName> = Fault<AlongAxis<Op, S, A>, S>

/**
 * The k largest elements of each row, along the last axis. A k that certainly exceeds the dim is refused here, another
 * when dims are bound.
 * @example TopK<['batch', 'vocab'], 5> is ['batch', 5]
 */
export type TopK<S extends Shape, K extends Dim> =
  CheckShape<S> extends true
    ? CheckName<K> extends true
      ? Within<readonly [K], DimAt<S, -1>, S> extends true
        ? Splice<'topK', S, -1, readonly [K]>
        : Within<readonly [K], DimAt<S, -1>, S>
      : CheckName<K>
    : CheckShape<S>

type Within<Parts extends readonly [Dim], D extends Shape, S extends Shape> =
  HeadIsGeneric<D> extends true
    ? true
    : D extends readonly [infer Whole extends Dim]
      ? Exceeds<Parts, Whole> extends true
        ? ShapeError<ReturnType<typeof beyond<Parts[0], Whole, Show<S>>>>
        : true
      : true
/** The twin of the type, for any axis. */
export const topK = (shape: Shape, k: Dim, axis = -1): E.Either<string, Shape> =>
  checked([shape], () =>
    E.flatMap(checkDim(k, 'as'), () =>
      E.flatMap(axisOf('topK', shape, axis), at => {
        const dim = shape[at]!
        return exceeds([k], dim) ? E.left(beyond(k, dim, show(shape))) : E.right(shape.with(at, k))
      }),
    ),
  )
/** `unknown`, or the error for the argument's type. */
export type TopKError<S extends Shape, K extends Dim> = Fault<TopK<S, K>, S>

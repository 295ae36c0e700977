import type { Tensor } from './node.ts'
import type { DimAt, Splice } from './shape/axis.ts'
import type { Dim, Fault, Ok, Shape, ShapeError, Show } from './shape/dim.ts'

/** The types of scans: trees of tensors that are cut along their axis of time, and stacked along it. */

/** The text for sequences that do not go together. */
export const unequal = <A extends number>(axis: A) => `scan: the sequences differ in their dim on axis ${axis}` as const
const outOfRange = <A extends number, S extends string>(axis: A, shape: S) =>
  `scan: axis ${axis} is out of range for ${shape}` as const

/** One element of a sequence: of a list, or of tensors that are cut along an axis. */
export type ElementOf<X, A extends number> = X extends readonly (infer E)[] ? E : Cut<X, A>
type Cut<X, A extends number> =
  X extends Tensor<infer S, infer D>
    ? Tensor<Ok<Splice<'scan', S, A, readonly []>, S>, D>
    : { readonly [K in keyof X]: Cut<X[K], A> }

/** The dim of time, in a tuple of its own; a union if sequences differ. */
type TimeOf<X, A extends number> =
  X extends Tensor<infer S, infer _> ? DimAt<S, A> : { readonly [K in keyof X]: TimeOf<X[K], A> }[keyof X]
type IsUnion<T, Whole = T> = T extends unknown ? ([Whole] extends [T] ? false : true) : never

/**
 * `unknown`, or the reason why tensors are no sequences along an axis, at the place of the tensor if it is one's own.
 */
export type ScanError<X, A extends number> = X extends readonly unknown[]
  ? unknown
  : true extends IsUnion<TimeOf<X, A>>
    ? ShapeError<ReturnType<typeof unequal<A>>>
    : CutError<X, A>
type CutError<X, A extends number> =
  X extends Tensor<infer S, infer _>
    ? Fault<Splice<'scan', S, A, readonly []>, S>
    : { readonly [K in keyof X]: CutError<X[K], A> }

/** The results of all steps: a list for a list, otherwise tensors with the dim of time on the axis. */
export type StackOf<X, Y, A extends number> = X extends readonly unknown[] ? readonly Y[] : Stacked<Y, TimeOf<X, A>, A>
type Stacked<Y, T, A extends number> =
  Y extends Tensor<infer S, infer D>
    ? { readonly t: T } extends { readonly t: infer Time extends Shape }
      ? Tensor<Ok<Insert<S, Time, A>, S>, D>
      : never
    : { readonly [K in keyof Y]: Stacked<Y[K], T, A> }

/** A shape with another dim on an axis of the result. */
type Insert<S extends Shape, T extends Shape, A extends number> = `${A}` extends `-${infer N}`
  ? InsertFromEnd<S, T, A, S, N>
  : InsertFromStart<S, T, A, S, `${A}`>
type InsertFromEnd<
  Whole extends Shape,
  T extends Shape,
  A extends number,
  S extends Shape,
  N extends string,
  Tail extends Shape = readonly [],
> = `${[...Tail, 0]['length'] & number}` extends N
  ? readonly [...S, ...T, ...Tail]
  : { readonly s: S } extends { readonly s: readonly [...infer Rest extends Shape, infer D extends Dim] }
    ? InsertFromEnd<Whole, T, A, Rest, N, readonly [D, ...Tail]>
    : ShapeError<ReturnType<typeof outOfRange<A, Show<readonly [...T, ...Whole]>>>>
type InsertFromStart<
  Whole extends Shape,
  T extends Shape,
  A extends number,
  S extends Shape,
  N extends string,
  Head extends Shape = readonly [],
> = `${Head['length'] & number}` extends N
  ? readonly [...Head, ...T, ...S]
  : { readonly s: S } extends { readonly s: readonly [infer D extends Dim, ...infer Rest extends Shape] }
    ? InsertFromStart<Whole, T, A, Rest, N, readonly [...Head, D]>
    : ShapeError<ReturnType<typeof outOfRange<A, Show<readonly [...T, ...Whole]>>>>

import * as E from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { HeadIsOne, IsEmpty, IsVariadic, NextIsOne, Same } from './generic.ts'
import { checked, type AreBothDims, type CheckBoth, type CheckShape } from './check.ts'

const differ = <D extends Dim, E extends Dim, A extends string, B extends string>(d: D, e: E, a: A, b: B) =>
  `broadcast: dims ${d} and ${e} differ in ${a} and ${b}` as const
const doesNotFit = <A extends string, B extends string>(from: A, to: B) =>
  `broadcast: ${from} does not fit into ${to}` as const

/**
 * The shape of an elementwise operation: shapes are aligned at the right, and dims are equal or one of them is the
 * number 1.
 * @example Broadcast<['batch', 'hidden'], ['hidden']> is ['batch', 'hidden']
 */
export type Broadcast<A extends Shape, B extends Shape> =
  AreBothDims<A, B> extends true
    ? A extends readonly [...Shape, ...B]
      ? readonly [...A]
      : B extends readonly [...Shape, ...A]
        ? readonly [...B]
        : AlignKnown<A, B, A, B>
    : BroadcastAny<A, B>

/** The same if all dims are known: the last ones are taken off the rest of both shapes. */
type AlignKnown<
  LeftA extends Shape,
  LeftB extends Shape,
  A extends Shape,
  B extends Shape,
  Out extends Shape = readonly [],
> = LeftA extends readonly [...infer RestA extends Shape, infer D extends Dim]
  ? LeftB extends readonly [...infer RestB extends Shape, infer E extends Dim]
    ? E extends 1 | D
      ? AlignKnown<RestA, RestB, A, B, readonly [D, ...Out]>
      : D extends 1
        ? AlignKnown<RestA, RestB, A, B, readonly [E, ...Out]>
        : ShapeError<ReturnType<typeof differ<D, E, Show<A>, Show<B>>>>
    : readonly [...LeftA, ...Out]
  : readonly [...LeftB, ...Out]

/** The same if there are type parameters among the dims, or bad dims. */
type BroadcastAny<A extends Shape, B extends Shape> =
  IsEmpty<B> extends true
    ? CheckShape<A> extends true
      ? readonly [...A]
      : CheckShape<A>
    : CheckBoth<A, B> extends true
      ? IsVariadic<A> extends true
        ? IsVariadic<B> extends true
          ? Join<LastDims<A, B>, A, B> extends infer Last
            ? Last extends readonly [infer D extends Dim]
              ? OfOneLead<A, B, D>
              : Last
            : never
          : Align<A, B, A, B>
        : IsVariadic<B> extends true
          ? Align<B, A, B, A>
          : Align<A, B, A, B>
      : CheckBoth<A, B>

/** Takes the last dims off the rest of both shapes, of which the second has a known rank. */
type Align<
  LeftA extends Shape,
  LeftB extends Shape,
  A extends Shape,
  B extends Shape,
  Out extends Shape = readonly [],
> =
  IsEmpty<LeftB> extends true
    ? readonly [...LeftA, ...Out]
    : IsEmpty<LeftA> extends true
      ? readonly [...LeftB, ...Out]
      : Join<LastDims<LeftA, LeftB>, A, B> extends infer Last
        ? Last extends readonly [infer D extends Dim]
          ? { readonly a: LeftA; readonly b: LeftB } extends {
              readonly a: readonly [...infer RestA extends Shape, infer _D extends Dim]
              readonly b: readonly [...infer RestB extends Shape, infer _E extends Dim]
            }
            ? Align<RestA, RestB, A, B, readonly [D, ...Out]>
            : never
          : Last
        : never

/** The last dims of both. */
type LastDims<A extends Shape, B extends Shape> = { readonly a: A; readonly b: B } extends {
  readonly a: readonly [...infer _A extends Shape, infer D extends Dim]
  readonly b: readonly [...infer _B extends Shape, infer E extends Dim]
}
  ? readonly [D, E]
  : never

/** The dim that two dims join to, in a tuple of its own. */
type Join<Pair extends readonly [Dim, Dim], A extends Shape, B extends Shape> =
  HeadIsOne<Pair> extends true
    ? readonly [Pair[1]]
    : NextIsOne<Pair> extends true
      ? readonly [Pair[0]]
      : Same<Pair[1], Pair[0]> extends true
        ? readonly [Pair[0]]
        : ShapeError<ReturnType<typeof differ<Pair[0], Pair[1], Show<A>, Show<B>>>>

/** Tests for the same leading dims, of unknown number. (One `infer` for both would find their union.) */
type OfOneLead<A extends Shape, B extends Shape, D extends Dim> = { readonly a: A; readonly b: B } extends {
  readonly a: readonly [...infer L extends Shape, infer _D extends Dim]
  readonly b: readonly [...infer M extends Shape, infer _E extends Dim]
}
  ? Same<L, M> extends true
    ? readonly [...L, D]
    : ShapeError<'broadcast: the leading dims differ'>
  : never

/** The twin of the type. */
export const broadcast = (a: Shape, b: Shape): E.Either<string, Shape> =>
  checked([a, b], () => {
    const rank = Math.max(a.length, b.length)
    const align = (shape: Shape): Shape => [...Array.from({ length: rank - shape.length }, () => 1), ...shape]
    const pairs = align(a).map((d, axis) => [d, align(b)[axis] ?? 1] as const)
    const clash = pairs.findLast(([d, e]) => d !== e && d !== 1 && e !== 1)
    return clash ? E.left(differ(...clash, show(a), show(b))) : E.right(pairs.map(([d, e]) => (d === 1 ? e : d)))
  })
/** `unknown`, or the error for the argument's type. */
export type BroadcastError<A extends Shape, B extends Shape> = Fault<Broadcast<A, B>, A>

/**
 * A shape stretched to another one: the broadcast of both must be the second.
 * @example BroadcastTo<['hidden'], ['batch', 'hidden']> is ['batch', 'hidden']
 */
export type BroadcastTo<From extends Shape, To extends Shape> =
  Broadcast<From, To> extends infer R
    ? { readonly r: R } extends { readonly r: ShapeError<string> }
      ? R
      : Same<R, Readonly<To>> extends true
        ? Readonly<To>
        : ShapeError<ReturnType<typeof doesNotFit<Show<From>, Show<To>>>>
    : never
/** The twin of the type. */
export const broadcastTo = (from: Shape, to: Shape): E.Either<string, Shape> =>
  E.flatMap(broadcast(from, to), shape =>
    show(shape) === show(to) ? E.right(to) : E.left(doesNotFit(show(from), show(to))),
  )
/** `unknown`, or the error for the argument's type. */
export type BroadcastToError<From extends Shape, To extends Shape> = Fault<BroadcastTo<From, To>, From>

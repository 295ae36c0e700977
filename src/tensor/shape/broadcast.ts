import * as E from 'fp-ts/lib/Either.js'
import type { Dim, Fault, Shape, ShapeError, Show } from './dim.ts'
import { show } from './dim.ts'
import { checked, type CheckShapes } from './check.ts'

const differ = <D extends Dim, E extends Dim, A extends string, B extends string>(d: D, e: E, a: A, b: B) =>
  `broadcast: dims ${d} and ${e} differ in ${a} and ${b}` as const
const doesNotFit = <A extends string, B extends string>(from: A, to: B) => `broadcast: ${from} does not fit into ${to}` as const

/**
 * The shape of an elementwise operation: aligned at the right, dims are equal or one of them is the number 1.
 * @example Broadcast<['batch', 'hidden'], ['hidden']> is ['batch', 'hidden']
 */
export type Broadcast<A extends Shape, B extends Shape> =
  [CheckShapes<readonly [A, B]>] extends [never] ? Align<A, B, A, B> : CheckShapes<readonly [A, B]>

/** Peels the last dims off what is left of both shapes. */
type Align<LeftA extends Shape, LeftB extends Shape, A extends Shape, B extends Shape, Out extends Shape = readonly []> =
  LeftA extends readonly [...infer RestA extends Shape, infer D extends Dim]
    ? LeftB extends readonly [...infer RestB extends Shape, infer E extends Dim]
      ? E extends D | 1 ? Align<RestA, RestB, A, B, readonly [D, ...Out]>
      : D extends 1 ? Align<RestA, RestB, A, B, readonly [E, ...Out]>
      : ShapeError<ReturnType<typeof differ<D, E, Show<A>, Show<B>>>>
      : readonly [...LeftA, ...Out]
    : readonly [...LeftB, ...Out]

/** The twin of the type. */
export const broadcast = (a: Shape, b: Shape): E.Either<string, Shape> => checked([a, b], () => {
  const rank = Math.max(a.length, b.length)
  const align = (shape: Shape): Shape => [...Array.from({ length: rank - shape.length }, () => 1), ...shape]
  const pairs = align(a).map((d, axis) => [d, align(b)[axis] ?? 1] as const)
  const clash = pairs.findLast(([d, e]) => d !== e && d !== 1 && e !== 1)
  return clash ? E.left(differ(...clash, show(a), show(b))) : E.right(pairs.map(([d, e]) => d === 1 ? e : d))
})
/** `unknown`, or the error that the argument carries. */
export type BroadcastError<A extends Shape, B extends Shape> = Fault<Broadcast<A, B>>

/**
 * A shape stretched to another one: the broadcast of both must be the second.
 * @example BroadcastTo<['hidden'], ['batch', 'hidden']> is ['batch', 'hidden']
 */
export type BroadcastTo<From extends Shape, To extends Shape> = Broadcast<From, To> extends infer R
  ? R extends Shape ? R extends To ? Readonly<To> : ShapeError<ReturnType<typeof doesNotFit<Show<From>, Show<To>>>> : R
  : never
/** The twin of the type. */
export const broadcastTo = (from: Shape, to: Shape): E.Either<string, Shape> =>
  E.flatMap(broadcast(from, to), shape => show(shape) === show(to) ? E.right(to) : E.left(doesNotFit(show(from), show(to))))
/** `unknown`, or the error that the argument carries. */
export type BroadcastToError<From extends Shape, To extends Shape> = Fault<BroadcastTo<From, To>>

import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { IsEmpty, IsVariadic, Same } from './generic.ts'
import { broadcast, type Broadcast } from './broadcast.ts'
import { checked, type CheckBoth } from './check.ts'

const innerDiffer = <I extends Dim, J extends Dim>(i: I, j: J) => `matmul: inner dims ${i} and ${j} differ` as const
const leadingDiffer = <A extends string, B extends string>(a: A, b: B) =>
  `matmul: leading dims ${a} and ${b} differ` as const
const leftRank = <A extends string>(a: A) => `matmul: the left operand ${a} needs at least 1 dim` as const
const rightRank = <B extends string>(b: B) => `matmul: the right operand ${b} needs at least 1 dim` as const

/**
 * A matrix product: `[...L, I] x [I, O]` is `[...L, O]`; of many matrices, `[...L, M, K] x [...B, K, N]` is
 * `[...C, M, N]`, in which C is the broadcast of L and B. A vector is a row on the left and a column on the right, and
 * has no such dim in the result.
 * @example MatMul<['batch', 'seq', 'hidden'], ['hidden', 'ffn']> is ['batch', 'seq', 'ffn']
 */
export type MatMul<A extends Shape, B extends Shape> =
  CheckBoth<A, B> extends true
    ? { readonly a: A; readonly b: B } extends {
        readonly a: readonly [...infer L extends Shape, infer I extends Dim]
        readonly b: readonly [infer J extends Dim, infer O extends Dim]
      }
      ? Same<I, J> extends true
        ? readonly [...L, O]
        : ShapeError<ReturnType<typeof innerDiffer<I, J>>>
      : IsVariadic<B> extends true
        ? OneByMany<A, B>
        : Multiply<A, B>
    : CheckBoth<A, B>

/** One matrix by many, of unknown number. */
type OneByMany<A extends Shape, B extends Shape> = { readonly a: A; readonly b: B } extends {
  readonly a: readonly [infer M extends Dim, infer K extends Dim]
  readonly b: readonly [...infer Q extends Shape, infer J extends Dim, infer N extends Dim]
}
  ? Same<K, J> extends true
    ? readonly [...Q, M, N]
    : ShapeError<ReturnType<typeof innerDiffer<K, J>>>
  : OfOneLead<A, B>

/** Tests for the same leading dims, of unknown number. (One `infer` for both would find their union.) */
type OfOneLead<A extends Shape, B extends Shape> = { readonly a: A; readonly b: B } extends {
  readonly a: readonly [...infer L extends Shape, infer M extends Dim, infer K extends Dim]
  readonly b: readonly [...infer Q extends Shape, infer J extends Dim, infer N extends Dim]
}
  ? Same<K, J> extends true
    ? Same<L, Q> extends true
      ? readonly [...L, M, N]
      : ShapeError<'matmul: the leading dims differ'>
    : ShapeError<ReturnType<typeof innerDiffer<K, J>>>
  : ShapeError<'matmul: the leading dims differ'>

type Multiply<A extends Shape, B extends Shape> = { readonly a: A } extends {
  readonly a: readonly [...infer L extends Shape, infer I extends Dim]
}
  ? B extends readonly [...infer M extends Shape, infer J extends Dim, infer O extends Dim]
    ? Same<I, J> extends true
      ? Batched<L, M, O>
      : ShapeError<ReturnType<typeof innerDiffer<I, J>>>
    : B extends readonly [infer J extends Dim]
      ? Same<I, J> extends true
        ? readonly [...L]
        : ShapeError<ReturnType<typeof innerDiffer<I, J>>>
      : ShapeError<ReturnType<typeof rightRank<Show<B>>>>
  : ShapeError<ReturnType<typeof leftRank<Show<A>>>>

/** `Rows` are the left operand's dims before the inner one, `M` the right operand's leading dims. */
type Batched<Rows extends Shape, M extends Shape, O extends Dim> = { readonly r: Rows } extends {
  readonly r: readonly [...infer L extends Shape, infer R extends Dim]
}
  ? Same<Readonly<L>, Readonly<M>> extends true
    ? readonly [...L, R, O]
    : Broadcast<L, M> extends infer Leading
      ? { readonly l: Leading } extends { readonly l: infer Joined extends Shape }
        ? readonly [...Joined, R, O]
        : ShapeError<ReturnType<typeof leadingDiffer<Show<L>, Show<M>>>>
      : never
  : IsEmpty<Rows> extends true
    ? readonly [...M, O]
    : ShapeError<'matmul: the leading dims differ'>

/** The twin of the type. */
export const matmul = (a: Shape, b: Shape): E.Either<string, Shape> =>
  checked([a, b], () => {
    const inner = a.at(-1)
    const rows = b.at(b.length === 1 ? -1 : -2)
    const columns = b.slice(1).slice(-1)
    const leading = b.slice(0, -2)
    return inner === undefined
      ? E.left(leftRank(show(a)))
      : rows === undefined
        ? E.left(rightRank(show(b)))
        : inner !== rows
          ? E.left(innerDiffer(inner, rows))
          : a.length === 1 || leading.length === 0
            ? E.right([...leading, ...a.slice(0, -1), ...columns])
            : pipe(
                broadcast(a.slice(0, -2), leading),
                E.mapLeft(() => leadingDiffer(show(a.slice(0, -2)), show(leading))),
                E.map(joined => [...joined, ...a.slice(-2, -1), ...columns]),
              )
  })
/** `unknown`, or the error for the argument's type. */
export type MatMulError<A extends Shape, B extends Shape> = Fault<MatMul<A, B>, A>

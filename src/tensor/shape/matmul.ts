import * as E from 'fp-ts/lib/Either.js'
import { type Dim, type Fault, type Shape, type ShapeError, type Show, show } from './dim.ts'
import type { IsVariadic, Same } from './generic.ts'
import { checked, type CheckShapes } from './check.ts'

const innerDiffer = <I extends Dim, J extends Dim>(i: I, j: J) => `matmul: inner dims ${i} and ${j} differ` as const
const leadingDiffer = <A extends string, B extends string>(a: A, b: B) =>
  `matmul: leading dims ${a} and ${b} differ` as const
const leftRank = <A extends string>(a: A) => `matmul: the left operand ${a} needs at least 1 dim` as const
const rightRank = <B extends string>(b: B) => `matmul: the right operand ${b} needs at least 2 dims` as const

/**
 * A matrix product: `[...L, I] x [I, O]` is `[...L, O]`; batched, `[...L, M, K] x [...L, K, N]` is `[...L, M, N]`.
 * @example MatMul<['batch', 'seq', 'hidden'], ['hidden', 'ffn']> is ['batch', 'seq', 'ffn']
 */
export type MatMul<A extends Shape, B extends Shape> =
  CheckShapes<readonly [A, B]> extends true
    ? IsVariadic<B> extends true
      ? OfOneLead<A, B>
      : Multiply<A, B>
    : CheckShapes<readonly [A, B]>

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
      ? M extends readonly []
        ? readonly [...L, O]
        : Batched<L, M, O>
      : ShapeError<ReturnType<typeof innerDiffer<I, J>>>
    : ShapeError<ReturnType<typeof rightRank<Show<B>>>>
  : ShapeError<ReturnType<typeof leftRank<Show<A>>>>

/** `Rows` are the left operand's dims before the inner one, `M` the right operand's leading dims. */
type Batched<Rows extends Shape, M extends Shape, O extends Dim> = Rows extends readonly [
  ...infer L extends Shape,
  infer R extends Dim,
]
  ? Same<Readonly<L>, Readonly<M>> extends true
    ? readonly [...L, R, O]
    : ShapeError<ReturnType<typeof leadingDiffer<Show<L>, Show<M>>>>
  : ShapeError<ReturnType<typeof leadingDiffer<'[]', Show<M>>>>

/** The twin of the type. */
export const matmul = (a: Shape, b: Shape): E.Either<string, Shape> =>
  checked([a, b], () => {
    const inner = a.at(-1)
    const [rows, columns] = b.slice(-2)
    const leading = b.slice(0, -2)
    return inner === undefined
      ? E.left(leftRank(show(a)))
      : rows === undefined || columns === undefined
        ? E.left(rightRank(show(b)))
        : inner !== rows
          ? E.left(innerDiffer(inner, rows))
          : leading.length === 0
            ? E.right([...a.slice(0, -1), columns])
            : a.length < 2 || show(a.slice(0, -2)) !== show(leading)
              ? E.left(leadingDiffer(show(a.slice(0, -2)), show(leading)))
              : E.right([...a.slice(0, -1), columns])
  })
/** `unknown`, or the error for the argument's type. */
export type MatMulError<A extends Shape, B extends Shape> = Fault<MatMul<A, B>>

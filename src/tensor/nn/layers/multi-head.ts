import { ruled, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import { product as productRule, show, type Dim, type Product, type Shape } from '../../shape/index.ts'
import { product } from '../../op/contract.ts'
import { u } from '../../op/untyped.ts'
import { attended, type AttentionOptions } from './attention.ts'
import { Linear } from './linear.ts'
import { rotary as rotated, type RotaryOptions } from './positions.ts'

/** The projections of multi-head attention. */
export interface MultiHeadAttention<I extends Dim, A extends Dim, K extends Dim = A, C extends Dim = I> {
  readonly query: Linear<I, A>
  readonly key: Linear<C, K>
  readonly value: Linear<C, K>
  readonly output: Linear<A, I>
}

/** The heads of multi-head attention, as dims. */
export interface Heads<H extends Dim, D extends Dim, G extends Dim = H> {
  readonly heads: H
  readonly headDim: D
  /** The heads of keys and values, if they are fewer: then `heads` is a multiple, such as `kvHeads*group`. */
  readonly kvHeads?: G
}

const joined = (...dims: Shape): Dim => ruled(productRule(dims))

/**
 * Declares the projections of multi-head attention: `query`, `key`, `value` and `output`, each a linear layer.
 * Keys and values are projected from `context`, by default the same dim.
 * @example const attend = nn.MultiHeadAttention('hidden', { heads: 'heads', headDim: 'headDim' })
 */
export const MultiHeadAttention = <
  const I extends Dim,
  const H extends Dim,
  const D extends Dim,
  const G extends Dim = H,
  const C extends Dim = I,
>(
  hidden: I,
  { heads, headDim, kvHeads, context }: Heads<H, D, G> & { readonly context?: C },
): MultiHeadAttention<I, Product<readonly [H, D]> & Dim, Product<readonly [G, D]> & Dim, C> => {
  const all = joined(heads, headDim)
  const shared = joined(kvHeads ?? heads, headDim)
  const from = context ?? hidden
  // the products are those that the type computes
  return {
    query: Linear(hidden, all),
    key: Linear(from, shared),
    value: Linear(from, shared),
    output: Linear(all, hidden),
  } as never
}

/** A linear layer with or without a bias. */
export interface Projection<I extends Dim, O extends Dim> {
  readonly weight: Tensor<readonly [I, O]>
  readonly bias?: Tensor<readonly [O]>
}
/** The projections that {@link multiHeadAttention} takes. */
export interface Projections<I extends Dim, A extends Dim, K extends Dim, C extends Dim> {
  readonly query: Projection<I, A>
  readonly key: Projection<C, K>
  readonly value: Projection<C, K>
  readonly output: Projection<A, I>
}

const projected = (x: Node, { weight, bias }: { readonly weight: Node; readonly bias?: Node }): Node => {
  const y = product(x, weight)
  return bias === undefined ? y : u.add(y, bias)
}

/**
 * Multi-head attention of `[batch, seq, hidden]` to itself or to `context`, with the options of {@link attention};
 * `rotary` rotates queries and keys by their positions. Projections may lack biases.
 * @throws {ShapeMismatch} if a projection does not fit the heads, or a mask cannot be broadcast
 * @example nn.multiHeadAttention(x, p.attend, { heads: 'heads', headDim: 'headDim', keyMask: batch.isToken })
 */
export const multiHeadAttention = <
  B extends Dim,
  S extends Dim,
  I extends Dim,
  const H extends Dim,
  const D extends Dim,
  const G extends Dim = H,
  T extends Dim = S,
  C extends Dim = I,
  M extends Shape = readonly [],
>(
  x: Tensor<readonly [B, S, I]>,
  p: Projections<NoInfer<I>, Product<readonly [H, D]> & Dim, Product<readonly [G, D]> & Dim, NoInfer<C>>,
  options: Heads<H, D, G> &
    AttentionOptions<NoInfer<B>, NoInfer<H>, NoInfer<S>, NoInfer<T>, M> & {
      /** Another sequence to attend to. */
      readonly context?: Tensor<readonly [NoInfer<B>, T, C]>
      readonly rotary?: RotaryOptions
    },
): Tensor<readonly [B, S, I]> => {
  const { heads, headDim, kvHeads = heads, context = x, rotary, ...hidden } = options
  const {
    query,
    key,
    value,
    output,
  }: Readonly<Record<keyof typeof p, { readonly weight: Node; readonly bias?: Node }>> = p
  const [batch, seq] = x.shape
  if (x.shape.length !== 3) throw new ShapeMismatch(`multiHeadAttention: ${show(x.shape)} is not [batch, seq, hidden]`)
  const split = (of: Node, count: Dim): Node =>
    u.transpose(u.reshape(of, [...of.shape.slice(0, 2), count, headDim]), [0, 2, 1, 3])
  const placed = (of: Node): Node =>
    rotary === undefined ? of : rotated(typed<readonly [B, Dim, Dim, D], 'f32'>(of), rotary)
  const mixed = attended(
    placed(split(projected(x, query), heads)),
    placed(split(projected(context, key), kvHeads)),
    split(projected(context, value), kvHeads),
    hidden,
  )
  const together = u.reshape(u.transpose(mixed, [0, 2, 1, 3]), [batch, seq, joined(heads, headDim)])
  return typed(projected(together, output))
}

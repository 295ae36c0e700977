import { node, ShapeMismatch, typed, type Node, type Tensor } from '../../node.ts'
import {
  broadcastTo,
  factors,
  product,
  show,
  type BroadcastToError,
  type Dim,
  type Same,
  type Shape,
  type ShapeError,
} from '../../shape/index.ts'
import { u } from '../../op/untyped.ts'
import { causalSoftmaxOp, softmaxOp } from '../softmax.ts'
import { hiding, visibleSoftmaxOp } from '../visible-softmax.ts'

/** A condition of shape M for what is visible, or numbers that are added to the scores. */
type Mask<M extends Shape> = Tensor<M, 'bool'> | Tensor<M>

/** The keys that a query attends to; by default all. What several options hide is hidden. */
export interface AttentionOptions<B extends Dim, H extends Dim, Q extends Dim, K extends Dim, M extends Shape> {
  /** True for the keys that exist, false for padding. */
  readonly keyMask?: Tensor<readonly [B, K], 'bool'>
  /**
   * Of a shape that can be broadcast to `[batch, heads, query, key]`: true for what is visible, or numbers that are
   * added to the scores, such as −∞ for what is not.
   */
  readonly mask?: Mask<M> & BroadcastToError<M, readonly [B, H, Q, K]>
  /**
   * Hides later positions: query i sees key j if j ≤ i + offset. The offset is the number of keys before the first
   * query, as with a cache; `true` is an offset of 0.
   */
  readonly causal?: boolean | { readonly offset: Tensor<readonly [], 'i32'> }
  /** The factor of the scores (default: 1/√headDim). */
  readonly scale?: number
}

/** `unknown`, or the reason why heads of queries cannot share those of keys: their number must be a multiple. */
export type HeadsError<H extends Dim, G extends Dim> =
  Same<H, G> extends true
    ? unknown
    : readonly [H, G] extends readonly [number, number]
      ? unknown
      : H extends `${G}*${string}`
        ? unknown
        : ShapeError<`attention: ${H} heads are no multiple of ${G} heads of keys`>

/** The number of query heads for each head of keys: 1 if they are as many. */
const groupOf = (heads: Dim, shared: Dim): Dim => {
  const refused = new ShapeMismatch(`attention: ${heads} heads are no multiple of ${shared} heads of keys`)
  if (heads === shared) return 1
  if (typeof heads === 'number' && typeof shared === 'number') {
    if (heads % shared !== 0) throw refused
    return heads / shared
  }
  const all = factors(heads)
  const first = factors(shared)
  const group = first.every((factor, i) => factor === all[i]) ? product(all.slice(first.length)) : undefined
  if (group?._tag !== 'Right') throw refused
  return group.right
}

/** The untyped {@link AttentionOptions}. */
interface Hidden {
  readonly keyMask?: Node
  readonly mask?: Node
  readonly causal?: boolean | { readonly offset: Node }
}

/** The probabilities of keys, from scores `[batch, heads, group, query, key]`. */
const probabilities = (scores: Node, { keyMask, mask, causal = false }: Hidden): Node => {
  const [batch, heads, group, query, key] = scores.shape as readonly [Dim, Dim, Dim, Dim, Dim]
  const offset = typeof causal === 'object' ? causal.offset : u.constant(0, [], 'i32')
  if (causal !== false && mask === undefined && keyMask === undefined)
    return node(causalSoftmaxOp, [scores, offset], {})
  if (causal === false && mask === undefined && keyMask === undefined) return node(softmaxOp, [scores], {})
  /** The mask with an axis for the heads of keys and one for the queries that share each. */
  const inGroups = (of: Node): Node => {
    const at = of.shape.length - 3
    return at < 0 ? of : u.reshape(of, of.shape.toSpliced(at, 1, ...(of.shape[at] === 1 ? [1, 1] : [heads, group])))
  }
  const own = mask === undefined ? undefined : inGroups(mask)
  const masked = own === undefined ? scores : own.dtype === 'bool' ? hiding(own, scores) : u.add(scores, own)
  const present = keyMask === undefined ? masked : hiding(u.reshape(keyMask, [batch, 1, 1, 1, key]), masked)
  const earlier = u.lessEqual(u.iota(key), u.reshape(u.add(u.iota(query), offset), [query, 1]))
  return node(visibleSoftmaxOp, [causal === false ? present : hiding(earlier, present)], {})
}

/** The untyped {@link attention}, whose shapes are checked here. */
export const attended = (
  q: Node,
  k: Node,
  v: Node,
  { scale, ...hidden }: Hidden & { readonly scale?: number | undefined },
): Node => {
  const [batch, heads, query, width] = q.shape
  const [, shared, key] = k.shape
  if (heads === undefined || query === undefined || width === undefined || shared === undefined || key === undefined)
    throw new ShapeMismatch(
      `attention: queries ${show(q.shape)} and keys ${show(k.shape)} are not [batch, heads, position, headDim]`,
    )
  const { mask } = hidden
  const fits = mask === undefined ? undefined : broadcastTo(mask.shape, [batch!, heads, query, key])
  if (fits?._tag === 'Left') throw new ShapeMismatch(`attention: the mask: ${fits.left}`)
  const group = groupOf(heads, shared)
  const scaled = u.mul(q, scale ?? u.rsqrt(u.size(width)))
  const scores = u.contract(u.reshape(scaled, [batch!, shared, group, query, width]), k, {
    a: 'bhgqd',
    b: 'bhkd',
    out: 'bhgqk',
  })
  const mixed = u.contract(probabilities(scores, hidden), v, { a: 'bhgqk', b: 'bhkd', out: 'bhgqd' })
  return u.reshape(mixed, [batch!, heads, query, v.shape.at(-1)!])
}

/**
 * Scaled dot-product attention (Vaswani et al. 2017): queries `[batch, heads, query, headDim]`, keys `[batch, heads,
 * key, headDim]` and values `[batch, heads, key, valueDim]` give `[batch, heads, query, valueDim]`. The keys may be
 * those of another sequence. Their heads may be fewer, if the heads of queries are a multiple: neighbouring query heads
 * share a head of keys (Ainslie et al. 2023), so heads are called `kvHeads*group`. A query that sees no key gets zeros,
 * and no gradient flows through it; a score below −10³⁰ is not visible.
 * @throws {ShapeMismatch} if a mask cannot be broadcast, or the heads are no multiple
 * @example nn.attention(q, k, v, { keyMask: batch.isToken, causal: true })
 */
export const attention = <
  B extends Dim,
  H extends Dim,
  Q extends Dim,
  D extends Dim,
  G extends Dim,
  K extends Dim,
  E extends Dim,
  M extends Shape = readonly [],
>(
  q: Tensor<readonly [B, H, Q, D]>,
  k: Tensor<readonly [NoInfer<B>, G, K, NoInfer<D>]> & HeadsError<H, G>,
  v: Tensor<readonly [NoInfer<B>, NoInfer<G>, NoInfer<K>, E]>,
  options: AttentionOptions<NoInfer<B>, NoInfer<H>, NoInfer<Q>, NoInfer<K>, M> = {},
): Tensor<readonly [B, H, Q, E]> => typed(attended(q, k, v, options))

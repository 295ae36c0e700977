import { typed, type Tensor } from '../node.ts'
import type { Dim } from '../shape/index.ts'
import { causalSoftmax } from './softmax.ts'
import { u } from '../op/untyped.ts'

/**
 * Causal attention with grouped queries: `group` query heads read each key-value head (Ainslie et al. 2023). Queries
 * are already scaled; the offset is the number of keys before the first query.
 * @example attention(mul(q, rsqrt(size('headDim'))), k, v, integer(0))
 */
export const attention = <B extends Dim, H extends Dim, G extends Dim, Q extends Dim, K extends Dim, D extends Dim>(
  q: Tensor<readonly [B, H, G, Q, D]>,
  k: Tensor<readonly [B, H, K, D]>,
  v: Tensor<readonly [B, H, K, D]>,
  offset: Tensor<readonly [], 'i32'>,
): Tensor<readonly [B, H, G, Q, D]> => {
  const scores = typed<readonly [B, H, G, Q, K], 'f32'>(u.contract(q, k, { a: 'bhgqd', b: 'bhkd', out: 'bhgqk' }))
  return typed(u.contract(causalSoftmax(scores, offset), v, { a: 'bhgqk', b: 'bhkd', out: 'bhgqd' }))
}

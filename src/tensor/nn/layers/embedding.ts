import type { Tensor } from '../../node.ts'
import { take } from '../../op/take.ts'
import type { Dim, Shape } from '../../shape/index.ts'
import { normal } from '../../init/index.ts'
import { leaf } from '../../op/placeholder.ts'

/** The parameter of an embedding: one row for each entry of a vocabulary. */
export interface Embedding<V extends Dim, H extends Dim> {
  readonly weight: Tensor<readonly [V, H]>
}

/**
 * Declares the parameter of an embedding: a weight `[vocab, hidden]`, whose first values are normal with a standard
 * deviation of 1, as in PyTorch and Equinox.
 * @example const words = nn.Embedding('vocab', 'hidden')
 */
export const Embedding = <const V extends Dim, const H extends Dim>(vocab: V, hidden: H): Embedding<V, H> => ({
  weight: leaf(normal({ std: 1 }), vocab, hidden),
})

/**
 * The rows of an embedding at ids of any rank: `[…]` becomes `[…, hidden]`.
 * @example nn.embedding(batch.ids, p.words)
 */
export const embedding = <S extends Shape, V extends Dim, H extends Dim>(
  ids: Tensor<S, 'i32'>,
  p: Embedding<V, H>,
): Tensor<readonly [...S, H]> => take(p.weight, ids, 0)

import { crossEntropyOp } from '../nn/loss.ts'
import { node, ShapeMismatch, typed, type Node, type Tensor } from '../node.ts'
import { u } from '../op/untyped.ts'
import { show, type Dim, type Shape } from '../shape/index.ts'

/** The least length of a vector: a shorter one is divided by this. */
const leastLength = 1e-8
const inverseLength = (x: Node, axis: number): Node => u.rsqrt(u.maximum(u.sum(u.mul(x, x), [axis]), leastLength ** 2))

/**
 * 1 − cos of the angle between two vectors along the last axis, row by row: 0 for one direction, 2 for opposite ones;
 * like `optax.cosine_distance` and PyTorch's `cosine_embedding_loss`.
 * @example loss.cosineDistance(predictions, targets)
 */
export const cosineDistance = <L extends Shape, C extends Dim>(
  a: Tensor<readonly [...L, C]>,
  b: Tensor<readonly [...L, C]>,
): Tensor<L> => {
  const axis = a.shape.length - 1
  const lengths = u.mul(inverseLength(a, axis), inverseLength(b, axis))
  return typed(u.sub(1, u.mul(u.sum(u.mul(a, b), [axis]), lengths)))
}

/**
 * The loss of pairs among all others of a batch (van den Oord et al. 2018, as in CLIP: Radford et al. 2021): entry
 * [i, j] is the similarity of the i-th of one kind and the j-th of the other, usually a cosine divided by a temperature,
 * and i belongs to i. One number per pair: the mean of the cross-entropies of its row and of its column. For one
 * direction alone write `crossEntropy(similarities, iota('batch'))`.
 * @throws {ShapeMismatch} if the two dims differ
 * @example loss.contrastive(matmul(images, transpose(texts, [1, 0])))
 */
export const contrastive = <N extends Dim>(similarities: Tensor<readonly [N, N]>): Tensor<readonly [N]> => {
  const [rows, columns] = similarities.shape
  if (rows !== columns) throw new ShapeMismatch(`contrastive: ${show(similarities.shape)} is no square`)
  const own = u.iota(rows)
  const along = (x: Node): Node => node(crossEntropyOp, [x, own], {})
  return typed(u.mul(u.add(along(similarities), along(u.transpose(similarities, [1, 0]))), 0.5))
}

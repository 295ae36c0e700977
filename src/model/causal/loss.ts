import {
  cast,
  crossEntropy,
  i32,
  integer,
  iota,
  less,
  lessEqual,
  maximum,
  mul,
  nonzero,
  range,
  reshape,
  sub,
  sum,
  take,
  type Loss,
  type Tensor,
} from '../../tensor/index.ts'

/** The batch of a causal language model: token ids and labels, `[batch, seq]`; the label -100 is not scored. */
export const causalBatch = () => ({ input_ids: i32('batch', 'seq'), labels: i32('batch', 'seq') })
export type CausalBatch = ReturnType<typeof causalBatch>

/**
 * The loss of a causal language model: position t predicts the label at t + 1; -100 is not scored. The scored positions
 * are selected from the logits, so logits are only needed there.
 */
export const causalLoss = (logits: Tensor<readonly ['batch', 'seq', 'vocab']>, { labels }: CausalBatch): Loss => {
  const predictable = mul(cast(lessEqual(integer(0), labels), 'f32'), cast(lessEqual(integer(1), iota('seq')), 'f32'))
  const scored = reshape(predictable, ['batch*seq'])
  const count = sum(scored)
  const position = nonzero(scored, 'scored')
  const before = maximum(sub(position, integer(1)), integer(0))
  const rows = take(reshape(logits, ['batch*seq', 'vocab']), before, 0)
  const targets = take(reshape(labels, ['batch*seq']), position, 0)
  // if fewer positions are scored than the capacity, the rest has weight zero
  const weight = cast(less(range('scored'), count), 'f32')
  return { sum: sum(mul(crossEntropy(rows, maximum(targets, integer(0))), weight)), count }
}

import { sigmoidBinaryCrossEntropyOp } from '../nn/loss.ts'
import { node, typed, type Node, type Tensor } from '../node.ts'
import { u } from '../op/untyped.ts'
import type { Dim, Shape } from '../shape/index.ts'

/**
 * The hinge max(0, 1 − label · score) of a label −1 or 1, element by element; like `optax.hinge_loss`.
 * @example loss.hinge(scores, labels)
 */
export const hinge = <S extends Shape>(scores: Tensor<S>, labels: Tensor<S>): Tensor<S> =>
  typed(u.maximum(u.sub(1, u.mul(labels, scores)), 0))

/** The settings of {@link focal}. */
export interface FocalOptions {
  /** The power of 1 − p (default 2): 0 is the binary cross-entropy. */
  readonly gamma?: number
  /** The weight of label 1, if there is one; that of label 0 is 1 − alpha. */
  readonly alpha?: number
}

/**
 * The binary cross-entropy times (1 − p)^gamma, with p the probability of the label: examples that are right count less
 * (Lin et al. 2017). Labels are 0 or 1, for each of several independent classes, element by element; like
 * `torchvision.ops.sigmoid_focal_loss`, whose default `alpha` is 0.25.
 * @throws {RangeError} unless gamma is at least 0 and alpha from 0 to 1
 * @example loss.focal(logits, labels, { gamma: 2, alpha: 0.25 })
 */
export const focal = <S extends Shape>(
  logits: Tensor<S>,
  labels: Tensor<S>,
  { gamma = 2, alpha }: FocalOptions = {},
): Tensor<S> => {
  if (!(gamma >= 0 && Number.isFinite(gamma))) throw new RangeError(`focal: gamma is ${gamma}: it is at least 0`)
  if (alpha !== undefined && !(alpha >= 0 && alpha <= 1))
    throw new RangeError(`focal: alpha is ${alpha}: it is from 0 to 1`)
  const entropy = node(sigmoidBinaryCrossEntropyOp, [logits, labels], {})
  // log (1 − p) is minus the cross-entropy of the other label, which no logit makes infinite
  const wrong = node(sigmoidBinaryCrossEntropyOp, [logits, u.sub(1, labels)], {})
  const focused = gamma === 0 ? entropy : u.mul(entropy, u.exp(u.mul(wrong, -gamma)))
  return typed(alpha === undefined ? focused : u.mul(focused, u.add(u.mul(labels, 2 * alpha - 1), 1 - alpha)))
}

/** log softmax along the last axis; nothing flows through the shift, which cancels. */
const logProbabilities = (logits: Node): Node => {
  const last = [logits.shape.length - 1]
  const shifted = u.sub(logits, u.stopGradient(u.max(logits, last, true)))
  return u.sub(shifted, u.log(u.sum(u.exp(shifted), last, true)))
}

/**
 * The divergence Σ p (log p − log q) of two distributions over the last axis (Kullback and Leibler 1951), row by row:
 * p are the targets, q the predictions. Both are logits, or log-probabilities, which are logits too. For distillation,
 * p is a teacher's, and both are divided by a temperature; {@link stopGradient} keeps the teacher as it is.
 * @example loss.klDivergence(div(student, 2), stopGradient(div(teacher, 2)))
 */
export const klDivergence = <L extends Shape, C extends Dim>(
  logits: Tensor<readonly [...L, C]>,
  targets: Tensor<readonly [...L, C]>,
): Tensor<L> => {
  const p = logProbabilities(targets)
  return typed(u.sum(u.mul(u.exp(p), u.sub(p, logProbabilities(logits))), [logits.shape.length - 1]))
}

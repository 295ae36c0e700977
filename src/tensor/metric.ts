import { typed, type Node, type Tensor } from './node.ts'
import { u } from './op/untyped.ts'
import type { Dim, Shape } from './shape/index.ts'

/** Metrics: one number for every example, whose mean is reported, or a sum and a count, which are divided once. */

/** A sum and a count over a batch: their ratio over all batches is reported. */
export interface Ratio {
  readonly sum: Tensor<readonly []>
  readonly count: Tensor<readonly []>
}

/**
 * The number of classes before the label, in order of falling logits, equal ones by their index; NaN goes before
 * everything. It is counted with integers, which no precision rounds.
 */
const rankOf = (logits: Node, labels: Node): Node => {
  const classes = logits.shape.at(-1)!
  const own = u.reshape(u.pick(logits, labels), [...labels.shape, 1])
  const label = u.reshape(labels, [...labels.shape, 1])
  const isBehind = u.select(u.equal(logits, own), u.lessEqual(label, u.iota(classes)), u.less(logits, own))
  return u.sum(u.sub(1, u.cast(isBehind, 'i32')), [logits.shape.length - 1])
}

/**
 * 1 if the label has one of the `k` largest logits of its row, else 0. Of equal logits the first goes before the others,
 * as in PyTorch's `argmax`; a row with NaN is wrong.
 * @throws {RangeError} unless k is a whole number, at least 1
 * @example metric.topK(logits, labels, 5)
 */
export const topK = <L extends Shape, C extends Dim>(
  logits: Tensor<readonly [...L, C]>,
  labels: Tensor<L, 'i32'>,
  k: number,
): Tensor<L> => {
  if (!Number.isSafeInteger(k) || k < 1) throw new RangeError(`topK: k is ${k}: it is a whole number, at least 1`)
  return typed(u.cast(u.less(rankOf(logits, labels), k), 'f32'))
}

/**
 * 1 if the label has the largest logit of its row, else 0. Of equal logits the first is the largest, as in PyTorch's
 * `argmax`; a row with NaN is wrong.
 * @example metric.accuracy(logits, labels)
 */
export const accuracy = <L extends Shape, C extends Dim>(
  logits: Tensor<readonly [...L, C]>,
  labels: Tensor<L, 'i32'>,
): Tensor<L> => topK(logits, labels, 1)

const isAbove = (x: Node, threshold: number): Node => u.cast(u.less(threshold, x), 'f32')

/**
 * 1 if a logit is on the side of its label, else 0, element by element: above 0 for a label above ½.
 * @example metric.binaryAccuracy(logits, labels)
 */
export const binaryAccuracy = <S extends Shape>(logits: Tensor<S>, labels: Tensor<S>): Tensor<S> =>
  typed(u.cast(u.equal(isAbove(logits, 0), isAbove(labels, 0.5)), 'f32'))

const total = (x: Node): Tensor<readonly []> =>
  typed(
    u.sum(
      x,
      x.shape.map((_, axis) => axis),
    ),
  )

/**
 * The right ones among the elements whose logit is above 0, with labels 0 and 1; NaN if there are none.
 * @example metrics: { precision: (logits, b) => metric.precision(logits, b.y) }
 */
export const precision = <S extends Shape>(logits: Tensor<S>, labels: Tensor<S>): Ratio => {
  const found = isAbove(logits, 0)
  return { sum: total(u.mul(found, isAbove(labels, 0.5))), count: total(found) }
}

/**
 * The elements whose logit is above 0 among those whose label is 1, with labels 0 and 1; NaN if there are none.
 * @example metrics: { recall: (logits, b) => metric.recall(logits, b.y) }
 */
export const recall = <S extends Shape>(logits: Tensor<S>, labels: Tensor<S>): Ratio => {
  const meant = isAbove(labels, 0.5)
  return { sum: total(u.mul(isAbove(logits, 0), meant)), count: total(meant) }
}

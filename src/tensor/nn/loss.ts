import { node, typed, type Op, type Tensor } from '../node.ts'
import { composite } from '../op/composite.ts'
import { expOp, logOp, minus, plus, times } from '../op/elementwise.ts'
import { maxOp } from '../op/max.ts'
import { oneHot, picked } from '../op/pick.ts'
import { reshaped } from '../op/reshape.ts'
import { summed } from '../op/sum.ts'
import type { Dim, Shape } from '../shape/index.ts'
import { softmaxOp } from './softmax.ts'

/** (logits[…, c], labels[…]) => log Σ exp logits − logits[label], row by row. */
export const crossEntropyOp: Op<object> = composite<object>({
  name: 'crossEntropy',
  expand: ([logits, labels]) => {
    const axis = logits!.shape.length - 1, rows = logits!.shape.slice(0, -1)
    const top = node(maxOp, [logits!], { axes: [axis], keepDims: true })
    const total = summed(node(expOp, [minus(logits!, top)], {}), [axis])
    return minus(plus(node(logOp, [total], {}), reshaped(top, rows)), picked(logits!, labels!))
  },
  vjp: ({ inputs: [logits, labels] }, dy) => [node(crossEntropyGradOp, [logits!, labels!, dy], {}), undefined],
})

/** (logits, labels, dy) => (softmax logits − one-hot label) dy. */
export const crossEntropyGradOp: Op<object> = composite<object>({
  name: 'crossEntropyGrad',
  expand: ([logits, labels, dy]) => times(
    minus(node(softmaxOp, [logits!], {}), oneHot(labels!, logits!.shape.at(-1)!)), reshaped(dy!, [...dy!.shape, 1])),
})

/** The cross-entropy of every row against its label, in nats. @example crossEntropy(logits, labels) */
export const crossEntropy = <L extends Shape, C extends Dim>(logits: Tensor<readonly [...L, C]>, labels: Tensor<L, 'i32'>): Tensor<L> =>
  typed(node(crossEntropyOp, [logits, labels], {}))

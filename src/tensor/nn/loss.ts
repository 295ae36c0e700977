import { inF32, savesOperands } from '../autograd.ts'
import { node, typed, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { sumTo } from '../op/sum.ts'
import type { Dim, Shape } from '../shape/index.ts'
import { softmaxOp } from './softmax.ts'
import { u } from '../op/untyped.ts'

/** (logits[…, c], labels[…]) => log Σ exp logits − logits[label], row by row. */
export const crossEntropyOp: Op<object> = composite<object>({
  name: 'crossEntropy',
  kind: 'rows',
  // any number may be subtracted from the logits of a row without changing the result
  smooth: true,
  refuses: ([logits, labels]) => unlike('the labels', labels!, logits!.shape.slice(0, -1), 'i32'),
  expand: ([logits, labels]) => {
    const axis = logits!.shape.length - 1
    const rows = logits!.shape.slice(0, -1)
    const top = u.max(logits!, [axis], true)
    const total = u.sum(u.exp(u.sub(logits!, top)), [axis])
    return u.sub(u.add(u.log(total), u.reshape(top, rows)), u.pick(logits!, labels!))
  },
  vjp: ({ inputs: [logits, labels] }, dy) => [node(crossEntropyGradOp, [logits!, labels!, dy], {}), undefined],
  // diag p − p pᵀ, whose largest eigenvalue is ½ when two probabilities are ½
  curvature: 0.5,
  autograd: {
    // the logarithms of the probabilities, in float32, and the labels
    saves: ({ inputs: [logits] }) => [{ own: 'f32', shape: logits!.shape }, { operand: 1 }],
    autocast: 'f32',
  },
})

/** (logits, labels, dy) => (softmax logits − one-hot label) dy. */
export const crossEntropyGradOp: Op<object> = composite<object>({
  name: 'crossEntropyGrad',
  kind: 'rows',
  refuses: ([logits, labels, dy]) =>
    unlike('the labels', labels!, logits!.shape.slice(0, -1), 'i32') ?? unlike('dy', dy!, labels!.shape),
  expand: ([logits, labels, dy]) =>
    u.mul(
      u.sub(node(softmaxOp, [logits!], {}), u.oneHot(labels!, logits!.shape.at(-1)!)),
      u.reshape(dy!, [...dy!.shape, 1]),
    ),
})

/** (predictions, targets) => (predictions − targets)², element by element. */
export const squaredErrorOp: Op<object> = composite<object>({
  name: 'squaredError',
  kind: 'elementwise',
  expand: ([predictions, targets]) => {
    const error = u.sub(predictions!, targets!)
    return u.mul(error, error)
  },
  cheap: true,
  curvature: 2,
  autograd: inF32(savesOperands),
})

/**
 * (logits, labels) => log(1 + exp logits) − labels logits, element by element. As in log-sum-exp, exponents are at most
 * 0. The shift cancels, so no derivative flows through it, and there is a derivative at 0.
 */
export const sigmoidBinaryCrossEntropyOp: Op<object> = composite<object>({
  name: 'sigmoidBinaryCrossEntropy',
  kind: 'elementwise',
  smooth: true,
  expand: ([logits, labels]) => {
    const top = u.stopGradient(u.maximum(logits!, 0))
    const total = u.add(u.exp(u.sub(logits!, top)), u.exp(u.neg(top)))
    return u.sub(u.add(top, u.log(total)), u.mul(logits!, labels!))
  },
  vjp: ({ inputs: [logits, labels] }, dy) => [
    sumTo(u.mul(dy, u.sub(u.sigmoid(logits!), labels!)), logits!.shape),
    sumTo(u.neg(u.mul(dy, logits!)), labels!.shape),
  ],
  cheap: true,
  // σ (1 − σ), at 0
  curvature: 0.25,
  autograd: inF32(savesOperands),
})

/**
 * The cross-entropy of every row against its label, in nats. With `smoothing`, that part of the probability of a label
 * is spread evenly over all classes (Szegedy et al. 2016), as `label_smoothing` of PyTorch does.
 * @throws {RangeError} unless smoothing is at least 0 and below 1
 * @example crossEntropy(logits, labels, { smoothing: 0.1 })
 */
export const crossEntropy = <L extends Shape, C extends Dim>(
  logits: Tensor<readonly [...L, C]>,
  labels: Tensor<L, 'i32'>,
  { smoothing = 0 }: { readonly smoothing?: number } = {},
): Tensor<L> => {
  if (!(smoothing >= 0 && smoothing < 1))
    throw new RangeError(`crossEntropy: smoothing is ${smoothing}: it is at least 0, below 1`)
  const hard = node(crossEntropyOp, [logits, labels], {})
  if (smoothing === 0) return typed(hard)
  // the mean over all classes differs from the label by the difference of their logits
  const last = logits.shape.length - 1
  const average = u.div(u.sum(logits, [last]), u.size(logits.shape[last]!))
  return typed(u.add(hard, u.mul(u.sub(u.pick(logits, labels), average), smoothing)))
}
/** (predictions − targets)², like `optax.squared_error`. @example squaredError(matmul(x, w), y) */
export const squaredError = <S extends Shape>(predictions: Tensor<S>, targets: Tensor<S>): Tensor<S> =>
  typed(node(squaredErrorOp, [predictions, targets], {}))

/**
 * The cross-entropy of a label in [0, 1] against σ(logit), in nats, for each of several independent classes, like
 * `optax.sigmoid_binary_cross_entropy`.
 * @example sigmoidBinaryCrossEntropy(logits, labels)
 */
export const sigmoidBinaryCrossEntropy = <S extends Shape>(logits: Tensor<S>, labels: Tensor<S>): Tensor<S> =>
  typed(node(sigmoidBinaryCrossEntropyOp, [logits, labels], {}))

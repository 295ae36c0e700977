import { convFilterOp, convInputOp, convOp } from './conv.ts'
import { geluGradOp, geluOp, siluGradOp, siluOp, softplusOp } from './activation.ts'
import { dynamicSliceOp, dynamicUpdateOp } from '../op/dynamic.ts'
import { flipOp, rollOp } from '../op/order.ts'
import { extendOp, strideOp } from '../op/pad.ts'
import { splitOp } from '../op/split.ts'
import { dropoutOp, inputDropoutOp, trainingDropoutOp } from './dropout.ts'
import { argmaxOp, argminOp } from './extremes.ts'
import { crossEntropyGradOp, crossEntropyOp, sigmoidBinaryCrossEntropyOp, squaredErrorOp } from './loss.ts'
import { rmsNormGradOp, rmsNormOp } from './norm.ts'
import { ropeOp } from './rope.ts'
import { sumOfSquaresOp } from './squares.ts'
import { logSumExpOp } from './statistics.ts'
import { causalSoftmaxOp, logSoftmaxOp, softmaxGradOp, softmaxOp } from './softmax.ts'
import { standardizeGradOp, standardizeOp } from './standardize.ts'
import { whenTrainingOp } from './training.ts'
import { visibleSoftmaxOp } from './visible-softmax.ts'

/** The composites by name: a target runs one with a kernel of its own, or expands it. */
export const composites = {
  softmax: softmaxOp,
  softmaxGrad: softmaxGradOp,
  logSoftmax: logSoftmaxOp,
  causalSoftmax: causalSoftmaxOp,
  visibleSoftmax: visibleSoftmaxOp,
  rmsNorm: rmsNormOp,
  rmsNormGrad: rmsNormGradOp,
  standardize: standardizeOp,
  standardizeGrad: standardizeGradOp,
  rope: ropeOp,
  silu: siluOp,
  siluGrad: siluGradOp,
  gelu: geluOp,
  geluGrad: geluGradOp,
  softplus: softplusOp,
  crossEntropy: crossEntropyOp,
  crossEntropyGrad: crossEntropyGradOp,
  sumOfSquares: sumOfSquaresOp,
  logSumExp: logSumExpOp,
  argmax: argmaxOp,
  argmin: argminOp,
  squaredError: squaredErrorOp,
  sigmoidBinaryCrossEntropy: sigmoidBinaryCrossEntropyOp,
  dropout: dropoutOp,
  inputDropout: inputDropoutOp,
  flip: flipOp,
  roll: rollOp,
  split: splitOp,
  extend: extendOp,
  stride: strideOp,
  dynamicSlice: dynamicSliceOp,
  dynamicUpdate: dynamicUpdateOp,
  trainingDropout: trainingDropoutOp,
  whenTraining: whenTrainingOp,
  conv: convOp,
  convInput: convInputOp,
  convFilter: convFilterOp,
} as const

export * from './activation.ts'
export * from './attention.ts'
export { channelsOf, convOp, type ConvAttributes } from './conv.ts'
export * from './dropout.ts'
export * from './extremes.ts'
export * from './loss.ts'
export * from './norm.ts'
export * from './quantile.ts'
export * from './rope.ts'
export * from './softmax.ts'
export * from './squares.ts'
export type { StandardizeAttributes } from './standardize.ts'
export { whenTrainingOp } from './training.ts'
export { lowestVisible } from './visible-softmax.ts'
export * from './statistics.ts'

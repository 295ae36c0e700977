import { geluOp, siluGradOp, siluOp } from './activation.ts'
import { dropoutOp, inputDropoutOp } from './dropout.ts'
import { crossEntropyGradOp, crossEntropyOp, sigmoidBinaryCrossEntropyOp, squaredErrorOp } from './loss.ts'
import { rmsNormGradOp, rmsNormOp } from './norm.ts'
import { ropeOp } from './rope.ts'
import { sumOfSquaresOp } from './squares.ts'
import { causalSoftmaxOp, softmaxGradOp, softmaxOp } from './softmax.ts'

/** The composites by name: a target runs one with a kernel of its own, or expands it. */
export const composites = {
  softmax: softmaxOp,
  softmaxGrad: softmaxGradOp,
  causalSoftmax: causalSoftmaxOp,
  rmsNorm: rmsNormOp,
  rmsNormGrad: rmsNormGradOp,
  rope: ropeOp,
  silu: siluOp,
  siluGrad: siluGradOp,
  gelu: geluOp,
  crossEntropy: crossEntropyOp,
  crossEntropyGrad: crossEntropyGradOp,
  sumOfSquares: sumOfSquaresOp,
  squaredError: squaredErrorOp,
  sigmoidBinaryCrossEntropy: sigmoidBinaryCrossEntropyOp,
  dropout: dropoutOp,
  inputDropout: inputDropoutOp,
} as const

export * from './activation.ts'
export * from './attention.ts'
export * from './dropout.ts'
export * from './loss.ts'
export * from './norm.ts'
export * from './rope.ts'
export * from './softmax.ts'
export * from './squares.ts'

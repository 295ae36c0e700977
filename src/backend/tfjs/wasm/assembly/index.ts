// Partensor's kernels on the heap of tfjs's wasm backend, written in AssemblyScript. Offsets are in bytes, counts and strides in elements.
export { transpose, permuteTranspose, permuteCopy } from './transpose'
export { copyBlocks, firstOutOfRange, takeRows, putRows, scatterAddRows, takeColumns, putColumns, scatterAddColumns } from './rows'
export { softmax, softmaxCausal, softmaxBackward, softmaxCausalBackward } from './softmax'
export { rmsNorm, rmsNormBackward, rmsNormWeightBackward } from './norm'
export {
  exp, log, sigmoid, tanh, rsqrt, sqrt, reciprocal, silu, gelu, neg, abs, square, siluBackward, geluBackward, swiglu, swigluBackward
} from './activation'
export { rope, ropeInverse } from './rope'
export { add, sub, mul, div, max, min, axpy, affine, fill } from './elementwise'
export { sumRows, sumColumns, sumAll, sumSquares, maxRows, argMaxRows, allFinite } from './reduce'
export {
  crossEntropy, crossEntropyGradient, logSumExpColumns, crossEntropyColumnsScratch, crossEntropyColumns, crossEntropyColumnsGradient
} from './loss'
export { adamw } from './optimizer'
export { dequantizeNF4 } from './dequantize'
export { dropout, randomBits } from './random'
export { matrixVector, vectorMatrix } from './vector'

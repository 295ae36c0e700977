/** Shape rules: each a type and a value under one name, with one error text. */
export * from './dim.ts'
export type { Same } from './generic.ts'
export { product, productText, factors, type Product, type ProductText, type Factors } from './product.ts'
export {
  checkDim,
  checkShape,
  type DimError,
  type ShapeFault,
  type IsLiteral,
  type CheckShape,
  type CheckShapes,
} from './check.ts'
export { axisOf, axesOf, type Axis, type Axes, type AxisOrName, type NamedAxis } from './axis.ts'
export { expandDims, squeeze, stack, type ExpandDims, type OnAxis, type Squeeze, type Stack } from './axes.ts'
export { tile, repeatAlong, type Tile, type RepeatAlong } from './tile.ts'
export { split, type Split } from './split.ts'
export { pad, stride, type Pad, type Stride } from './pad.ts'
export {
  diag,
  diagonal,
  dot,
  trace,
  triangle,
  type Diag,
  type Diagonal,
  type Dot,
  type MatrixTrace,
  type Triangle,
} from './matrix.ts'
export { dynamicSlice, dynamicUpdate, type DynamicSlice, type DynamicUpdate } from './dynamic.ts'
export {
  broadcast,
  broadcastTo,
  type Broadcast,
  type BroadcastError,
  type BroadcastTo,
  type BroadcastToError,
} from './broadcast.ts'
export { matmul, type MatMul, type MatMulError } from './matmul.ts'
export { reshape, type Reshape, type ReshapeError } from './reshape.ts'
export { transpose, type Transpose, type TransposeError } from './transpose.ts'
export { einsum, type Einsum, type EinsumError } from './einsum.ts'
export { concat, type Concat, type ConcatError } from './concat.ts'
export { slice, type Slice, type SliceError } from './slice.ts'
export {
  put,
  take,
  takeAlong,
  type Put,
  type PutError,
  type Take,
  type TakeAlong,
  type TakeAlongError,
  type TakeError,
} from './take.ts'
export { reduce, type AxisList, type Reduce, type ReducedFrom, type ReduceError } from './reduce.ts'
export { alongAxis, topK, type AlongAxis, type AlongAxisError, type TopK, type TopKError } from './sort.ts'
export { bind, sizesOf, unify, unifyAll, unifySum, type Environment, type Source } from './bind.ts'
export { windowsAlong, windowsOf, type WindowsAlong, type WindowsOf } from './window.ts'
export {
  stepsOf,
  windowsOn,
  type WindowPadding,
  type WindowOptions,
  type Windows,
  type WindowSteps,
} from './window-steps.ts'
export { convolved, pairOf, type Conv1d, type Conv2d, type DepthwiseConv2d } from './conv.ts'
export type { Pair, PairSteps } from './conv.ts'
export type { Pool1d, Pool2d } from './pool.ts'

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
export { axisOf, axesOf, type Axis, type Axes } from './axis.ts'
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
export { put, take, type Put, type PutError, type Take, type TakeError } from './take.ts'
export { reduce, type Reduce, type ReduceError } from './reduce.ts'
export { bind, sizesOf, unify, unifyAll, unifySum, type Environment, type Source } from './bind.ts'

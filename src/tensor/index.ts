/** The language: shape types, immutable expressions, ops, layers, differentiation. */
export {
  type Axis,
  type ShapeFault,
  type Broadcast,
  type BroadcastError,
  type BroadcastTo,
  type BroadcastToError,
  type Concat,
  type ConcatError,
  type Dim,
  type Einsum,
  type EinsumError,
  type Environment,
  type Factors,
  type Fault,
  type IsLiteral,
  type MatMul,
  type MatMulError,
  type Ok,
  type Product,
  type Put,
  type PutError,
  type Reduce,
  type ReduceError,
  type Reshape,
  type ReshapeError,
  type Shape,
  type ShapeError,
  type Slice,
  type SliceError,
  type Source,
  type Take,
  type TakeError,
  type Transpose,
  type TransposeError,
  bind,
  factors,
  product,
  show,
  sizesOf,
  unify,
  unifyAll,
} from './shape/index.ts'
export { bytesPerElement, count, type DataOf, type DType, type Value } from './value.ts'
export { broadcasting, hasCorner, inOnePiece, isSmooth, noDims, opaque } from './facets.ts'
export {
  DataMismatch,
  fitsByShape,
  is,
  isNode,
  node,
  rebuild,
  ShapeMismatch,
  substitute,
  topological,
  typed,
  withInputs,
  type Along,
  type Bound,
  type Cheap,
  type Kind,
  type Node,
  type NodeOf,
  type Numbers,
  type Op,
  type Signature,
  type Tensor,
} from './node.ts'
export * from './op/index.ts'
export * from './nn/index.ts'
export { u } from './untyped.ts'
export { gradients, whole, type Gradients, type Wanted } from './grad.ts'
export { alongGradient, directional, hvp, innerProduct, jvp } from './directional.ts'
export { expressionKeys, labelOf, deduplicated, structureOf, walk } from './numbering.ts'
export * from './nf4.ts'
export { transposeMatrix } from './matrix.ts'
export { around, outside } from './numbers.ts'
export { interpret } from './interpret.ts'
export { misfitIn, misfitOf, partsBeyond, partsDiffer, sized } from './misfit.ts'
export { model, type Decode, type Loss, type Model } from './model.ts'
export { type Partition } from './partition.ts'
export * from './random.ts'
export { repeat, scan } from './repeat.ts'

/** Whole computations as one TensorFlow graph: written, loaded and run. */
export { emptyBody, type Added, type AddOptions, type Anchor, type Body, type ConstantType, type Ref } from './body.ts'
export { graphLowerings } from './composites.ts'
export {
  after,
  branch,
  called,
  choice,
  emptyLibrary,
  whileLoop,
  type FunctionSource,
  type GraphFunction,
  type Library,
} from './library.ts'
export { hasXla, loadGraph, type LoadedGraph } from './load.ts'
export { lowered, type Emit, type GraphLowering, type GraphLowerings, type Place, type Several } from './lowering.ts'
export { hasEffect, isStateful, type Attribute, type Attributes, type OperationName } from './operations.ts'
export { savedModel, type Graph, type GraphSignature } from './saved-model.ts'
export { shapeOf, sizeRef, sizesIn, sumOfSizes, vectorOf, type Size } from './sizes.ts'
export { isFloat, type FloatType, type GraphType } from './types.ts'

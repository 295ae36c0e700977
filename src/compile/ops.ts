import {
  broadcastToOp, concatOp, constantOp, dequantizeOp, is, iotaOp, oneHotOp, padOp, primitives, reshapeOp, sizeOp, sliceOp, type Node, type Op, type Shape,
} from '../tensor/index.ts'

/** Ops whose result at a place follows from their operands at that place, with broadcasting. */
export const elementwiseOps: ReadonlySet<Op> = new Set<Op>([
  primitives.add, primitives.sub, primitives.mul, primitives.div, primitives.pow, primitives.maximum, primitives.minimum,
  primitives.equal, primitives.less, primitives.lessEqual, primitives.select,
  primitives.neg, primitives.exp, primitives.log, primitives.sqrt, primitives.rsqrt, primitives.tanh, primitives.sigmoid, primitives.abs,
  primitives.sign, primitives.sin, primitives.cos, primitives.erf, primitives.stopGradient, primitives.cast,
])

/** Dims that a node's attributes name, of ops that work on rows and of those that make numbers. */
export const namedDims = (n: Node): Shape =>
  is(n, constantOp) || is(n, broadcastToOp) || is(n, reshapeOp) || is(n, dequantizeOp) ? n.shape
  : is(n, sizeOp) ? n.attributes.dims
  : is(n, iotaOp) || is(n, oneHotOp) || is(n, concatOp) ? [n.attributes.dim]
  : is(n, sliceOp) || is(n, padOp) ? [...n.attributes.start, n.attributes.dim]
  : []

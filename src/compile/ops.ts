import {
  blockOf,
  broadcastToOp,
  concatOp,
  constantOp,
  dequantizeOp,
  factors,
  is,
  iotaOp,
  oneHotOp,
  padOp,
  primitives,
  reshapeOp,
  sizeOp,
  sliceOp,
  topological,
  type Node,
  type Op,
  type Shape,
} from '../tensor/index.ts'

/** Ops whose result at a place follows from their operands at that place, with broadcasting. */
export const elementwiseOps: ReadonlySet<Op> = new Set<Op>([
  primitives.add,
  primitives.sub,
  primitives.mul,
  primitives.div,
  primitives.pow,
  primitives.maximum,
  primitives.minimum,
  primitives.equal,
  primitives.less,
  primitives.lessEqual,
  primitives.select,
  primitives.neg,
  primitives.exp,
  primitives.log,
  primitives.sqrt,
  primitives.rsqrt,
  primitives.tanh,
  primitives.sigmoid,
  primitives.abs,
  primitives.sign,
  primitives.sin,
  primitives.cos,
  primitives.erf,
  primitives.stopGradient,
  primitives.cast,
])

/** Dims that a node's attributes name, of ops that work on rows and of those that make numbers. */
export const namedDims = (n: Node): Shape =>
  is(n, constantOp) || is(n, broadcastToOp) || is(n, reshapeOp) || is(n, dequantizeOp)
    ? n.shape
    : is(n, sizeOp)
      ? n.attributes.dims
      : is(n, iotaOp) || is(n, oneHotOp) || is(n, concatOp)
        ? [n.attributes.dim]
        : is(n, sliceOp) || is(n, padOp)
          ? [...n.attributes.start, n.attributes.dim]
          : []

/**
 * Every name in the dims of expressions, within blocks and composites too: what a program of them may ask the size of.
 */
export const namesIn = (roots: readonly Node[]): ReadonlySet<string> => {
  const names = new Set<string>()
  const seen = new Set<unknown>()
  const visit = (from: readonly Node[]): void => {
    for (const n of topological(from)) {
      if (seen.has(n)) continue
      seen.add(n)
      for (const factor of [...n.shape, ...namedDims(n)].flatMap(factors))
        if (typeof factor === 'string') names.add(factor)
      const block = blockOf(n)
      const expanded = n.op.expand?.(n.inputs, n.attributes)
      if (block && !seen.has(block)) {
        seen.add(block)
        visit(block.outputs)
      }
      if (expanded) visit([expanded])
    }
  }
  visit(roots)
  return names
}

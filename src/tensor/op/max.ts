import { node, type Node, type NodeOf, type Op } from '../node.ts'
import { pointwise } from './elementwise.ts'
import { sources } from './placeholder.ts'
import { reducer, reduction, spread, sums, type Axes } from './sum.ts'

/** The cotangent goes to the elements that are the result, in equal shares. */
const shared = (y: NodeOf<Axes>, dy: Node): Node => {
  const hit = pointwise.cast(pointwise.equal(y.inputs[0]!, spread(y, y)), 'f32')
  return pointwise.mul(
    spread(y, dy),
    pointwise.div(hit, spread(y, sums.sum(hit, y.attributes.axes, y.attributes.keepDims))),
  )
}
// y = max x                                             dy where x = y, shared between equals
export const maxOp: Op<Axes> = reduction('max', -Infinity, Math.max, shared)
// y = min x                                             dy where x = y, shared between equals
export const minOp: Op<Axes> = reduction('min', Infinity, Math.min, shared)

/** The untyped verbs of a maximum and a minimum over axes. */
export const maxima = {
  max: (x: Node, axes: readonly number[], keepDims = false): Node => node(maxOp, [x], { axes, keepDims }),
  min: (x: Node, axes: readonly number[], keepDims = false): Node => node(minOp, [x], { axes, keepDims }),
}

/**
 * The maximum over axes, or of everything; NaN if an element is. The gradient is shared equally between equal maxima.
 * @example max(logits, -1)
 */
export const max = reducer<'f32' | 'i32'>(maxima.max)
/**
 * The minimum over axes, or of everything; NaN if an element is. The gradient is shared equally between equal minima.
 * @example min(distances, -1)
 */
export const min = reducer<'f32' | 'i32'>(maxima.min)

/** The mean over axes, or of everything. @example mean(x, -1, true) */
export const mean = reducer((x, axes, keepDims) =>
  pointwise.div(sums.sum(x, axes, keepDims), sources.size(...axes.map(axis => x.shape[axis]!))),
)

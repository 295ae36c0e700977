import { node, type Node, type Op } from '../node.ts'
import { pointwise } from './elementwise.ts'
import { sources } from './placeholder.ts'
import { reducer, reduction, spread, sums, type Axes } from './sum.ts'

// y = max x                                             dy where x = y, shared between equals
export const maxOp: Op<Axes> = reduction('max', -Infinity, Math.max, (y, dy) => {
  const hit = pointwise.cast(pointwise.equal(y.inputs[0]!, spread(y, y)), 'f32')
  return pointwise.mul(
    spread(y, dy),
    pointwise.div(hit, spread(y, sums.sum(hit, y.attributes.axes, y.attributes.keepDims))),
  )
})

/** The untyped verb of a maximum over axes. */
export const maxima = {
  max: (x: Node, axes: readonly number[], keepDims = false): Node => node(maxOp, [x], { axes, keepDims }),
}

/** The maximum over axes, or of everything. @example max(logits, -1) */
export const max = reducer(maxima.max)

/** The mean over axes, or of everything. @example mean(x, -1, true) */
export const mean = reducer((x, axes, keepDims) =>
  pointwise.div(sums.sum(x, axes, keepDims), sources.size(...axes.map(axis => x.shape[axis]!))),
)

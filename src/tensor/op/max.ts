import { node, type Op } from '../node.ts'
import { converted, equals, over, times } from './elementwise.ts'
import { sizeOp } from './placeholder.ts'
import { reducer, reduction, spread, summed, type Axes } from './sum.ts'

// y = max x                                             dy where x = y, shared between equals
export const maxOp: Op<Axes> = reduction('max', -Infinity, Math.max, (y, dy) => {
  const hit = converted(equals(y.inputs[0]!, spread(y, y)), 'f32')
  return times(spread(y, dy), over(hit, spread(y, summed(hit, y.attributes.axes, y.attributes.keepDims))))
})

/** The maximum over axes, or of everything. @example max(logits, -1) */
export const max = reducer((x, axes, keepDims) => node(maxOp, [x], { axes, keepDims }))

/** The mean over axes, or of everything. @example mean(x, -1, true) */
export const mean = reducer((x, axes, keepDims) =>
  over(summed(x, axes, keepDims), node(sizeOp, [], { dims: axes.map(axis => x.shape[axis]!) })),
)

import { inF32, savesResult } from '../autograd.ts'
import { node, type Node, type Op } from '../node.ts'
import { composite } from '../op/composite.ts'
import { u } from '../op/untyped.ts'
import { softmaxGradOp } from './softmax.ts'

/** The lowest score that counts: what lies below is not visible. */
export const lowestVisible = -1e30

/**
 * x[…, c] => exp x / Σ exp x along the last axis, over the scores of at least −10³⁰; the others get 0, and so does a
 * whole row of them.
 */
export const visibleSoftmaxOp: Op<object> = composite<object>({
  name: 'visibleSoftmax',
  kind: 'rows',
  // any number may be subtracted from a row without changing the result
  smooth: true,
  cheap: 'weighed',
  expand: ([x]) => {
    const axis = x!.shape.length - 1
    const e = u.exp(u.sub(x!, u.maximum(u.max(x!, [axis], true), lowestVisible)))
    // the largest visible score has the exponential 1, so 1 is the least sum of a row that is not empty
    return u.div(e, u.maximum(u.sum(e, [axis], true), 1))
  },
  vjp: (y, dy) => [node(softmaxGradOp, [y, dy], {})],
  autograd: inF32(savesResult),
})

/** The score that hides a key. */
const hidden = -3e38

/** Scores that hide what a condition excludes. */
export const hiding = (visible: Node, scores: Node): Node => u.select(visible, scores, hidden)

import * as E from '../../either/index.ts'
import { inF32, savesBoth } from '../autograd.ts'
import { isSmooth } from '../facets.ts'
import { node, type Node, type Op } from '../node.ts'
import { others } from './cumulative.ts'
import { pointwise } from './elementwise.ts'
import { reducer, reduction, spread, type Axes } from './sum.ts'

const factors: Op<Axes> = reduction(
  'prod',
  1,
  (a, b) => a * b,
  (y, dy) => pointwise.mul(spread(y, dy), others(y.inputs[0]!, y.attributes.axes[0]!)),
  { smooth: isSmooth, integers: Math.imul, autograd: inF32(savesBoth) },
)
/** y = Π x over one axis                                  dx: dy times the other elements, which needs no division */
export const prodOp: Op<Axes> = {
  ...factors,
  shape: (inputs, attributes) =>
    attributes.axes.length === 1
      ? factors.shape(inputs, attributes)
      : E.left(`prod: takes one axis at a time, not ${attributes.axes.length}`),
}

/** The untyped verb of a product over axes, one after another. */
export const factorings = {
  prod: (x: Node, axes: readonly number[], keepDims = false): Node =>
    axes.toSorted((a, b) => b - a).reduce<Node>((y, axis) => node(prodOp, [y], { axes: [axis], keepDims }), x),
}

/**
 * The product over axes, or of everything; integers wrap around at 32 bits. The gradient is right for zeros too.
 * @example prod(probabilities, -1)
 */
export const prod = reducer<'f32' | 'i32'>(factorings.prod)

import { noDims } from '../facets.ts'
import { node, type Node, type Op } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { u } from '../op/untyped.ts'

/** A constant that is added to the variance. */
export interface StandardizeAttributes {
  readonly epsilon: number
}
const mean = (x: Node): Node => u.div(u.sum(x, [x.shape.length - 1], true), u.size(...x.shape.slice(-1)))
const centred = (x: Node): Node => u.sub(x, mean(x))
/** 1 / √(mean c² + ε) of every row of centred numbers. */
const scale = (c: Node, epsilon: number): Node => u.rsqrt(u.add(mean(u.mul(c, c)), epsilon))

/**
 * x[…, n] => (x − mean x) / √(mean (x − mean x)² + ε), row by row: layer normalisation without its scale (Ba et al.
 * 2016).
 */
export const standardizeOp: Op<StandardizeAttributes> = composite<StandardizeAttributes>({
  name: 'standardize',
  kind: 'rows',
  dims: noDims,
  refuses: ([x]) => (x!.shape.length === 0 ? 'a scalar has no rows' : undefined),
  expand: ([x], { epsilon }) => {
    const c = centred(x!)
    return u.mul(c, scale(c, epsilon))
  },
  vjp: ({ inputs: [x], attributes }, dy) => [node(standardizeGradOp, [dy, x!], attributes)],
  cheap: true,
  autograd: {
    saves: ({ inputs: [x] }) => [
      { operand: 0 },
      // mean and scale of each row
      { own: 'statistics', shape: [2, ...x!.shape.slice(0, -1)] },
    ],
    autocast: 'f32',
  },
})

/** (dy, x) => s (dy − mean dy − y mean(dy y)), with y the standardized row and s its scale: the cotangent of x. */
export const standardizeGradOp: Op<StandardizeAttributes> = composite<StandardizeAttributes>({
  name: 'standardizeGrad',
  kind: 'rows',
  dims: noDims,
  refuses: ([dy, x]) => unlike('dy', dy!, x!.shape),
  expand: ([dy, x], { epsilon }) => {
    const c = centred(x!)
    const s = scale(c, epsilon)
    const y = u.mul(c, s)
    return u.mul(s, u.sub(centred(dy!), u.mul(y, mean(u.mul(dy!, y)))))
  },
})

import { noDims } from '../facets.ts'
import { node, type Node, type Op } from '../node.ts'
import { composite } from '../op/composite.ts'
import { times } from '../op/elementwise.ts'
import { summed } from '../op/sum.ts'

export interface Squares {
  readonly axes: readonly number[]
  readonly keepDims: boolean
}

/** y = Σ x² over some axes: a name for what is worth one pass over a matrix, without its squares.     dx: 2 x dy */
export const sumOfSquaresOp: Op<Squares> = composite<Squares>({
  name: 'sumOfSquares',
  kind: 'reduction',
  dims: noDims,
  expand: ([x], { axes, keepDims }) => summed(times(x!, x!), axes, keepDims),
})

/** @example squaresSummed(w, [0]) */
export const squaresSummed = (x: Node, axes: readonly number[], keepDims = false): Node =>
  node(sumOfSquaresOp, [x], { axes, keepDims })

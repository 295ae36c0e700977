import { noDims } from '../facets.ts'
import { type Op } from '../node.ts'
import { composite } from '../op/composite.ts'
import { u } from '../op/untyped.ts'

export interface Squares {
  readonly axes: readonly number[]
  readonly keepDims: boolean
}

/** y = Σ x² over some axes: a name for what is worth one pass over a matrix, without its squares.     dx: 2 x dy */
export const sumOfSquaresOp: Op<Squares> = composite<Squares>({
  name: 'sumOfSquares',
  kind: 'reduction',
  dims: noDims,
  expand: ([x], { axes, keepDims }) => u.sum(u.mul(x!, x!), axes, keepDims),
})

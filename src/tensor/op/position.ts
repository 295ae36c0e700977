import type { Node } from '../node.ts'
import type { Dim, Shape } from '../shape/index.ts'
import { pointwise } from './elementwise.ts'
import { maxima } from './max.ts'
import { sources } from './placeholder.ts'

/** Places along an axis, as int32 nodes: exact for every size, unlike `size`, which is float32. */

/** The last place of a dim. */
export const lastOf = (dim: Dim): Node =>
  typeof dim === 'number' ? sources.constant(dim - 1, [], 'i32') : maxima.max(sources.iota(dim), [0])
/** The sum of the sizes of some dims. */
export const placeAfter = (dims: Shape): Node =>
  dims.map(dim => pointwise.add(lastOf(dim), 1)).reduce(pointwise.add, sources.constant(0, [], 'i32'))

/** a modulo n, which is positive, for any a. */
export const modulo = (a: Node, n: Node): Node => {
  const left = pointwise.sub(a, pointwise.mul(pointwise.div(a, n), n))
  return pointwise.select(pointwise.less(left, 0), pointwise.add(left, n), left)
}

import type { Along, NodeOf, Op } from './node.ts'

/** Facets that many ops share. */

/** The `dims` of an op whose attributes contain none. */
export const noDims = (): readonly [] => []

/** The `along` of an op whose rows do not follow from rows, or that is better computed as a whole. */
export const inOnePiece = (): undefined => undefined

/** The `along` of an op with NumPy broadcasting: an input without the axis, or with size 1 along it, stays whole. */
export const broadcasting = (node: NodeOf, axis: number): Along =>
  node.inputs.map(({ shape }) => {
    const own = axis - (node.shape.length - shape.length)
    return own < 0 || shape[own] !== node.shape[axis] ? undefined : own
  })

/** The `smooth` of an op that has a continuous derivative wherever it is defined. */
export const isSmooth = (): boolean => true

/** The `smooth` of an op whose result or derivative has a jump. */
export const hasCorner = (): boolean => false

/** The facets of an op that moves between programs or blocks, which the compiler handles specially. */
export const opaque = {
  kind: 'other',
  along: inOnePiece,
  dims: noDims,
  smooth: isSmooth,
} as const satisfies Pick<Op, 'kind' | 'along' | 'dims' | 'smooth'>

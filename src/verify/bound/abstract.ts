import type { Node, Shape } from '../../tensor/index.ts'

/** Why no bound is proved, in one sentence: the loss has a corner in what is trained, or no rule covers it. */
export interface NoBound {
  readonly kind: 'not smooth' | 'no bound'
  readonly message: string
}

export const notSmooth = (op: string): NoBound => ({
  kind: 'not smooth',
  message: `the loss is not smooth in what is trained: ${op} has a corner`,
})
export const noBound = (why: string): NoBound => ({
  kind: 'no bound',
  message: `no bound of the curvature is known: ${why}`,
})

/** A trained leaf, by its path. */
export interface TrainedLeaf {
  readonly path: string
  readonly leaf: Node
}

/** Σ features[…, i] leaf[i, o], or leaf[o, i] where features run along axis 1 of the leaf. */
export interface Term extends TrainedLeaf {
  readonly features: Node
  readonly along: 0 | 1
}

/**
 * A value y[…, o] = Σ of terms + what is frozen. `outputs` is the axis of o in y, absent where a leaf has one output
 * alone; features have the other axes of y, the rows, and a last one of their own.
 */
export interface Affine {
  readonly kind: 'affine'
  readonly outputs: number | undefined
  readonly terms: readonly Term[]
}

/** What a node is as a function of what is trained. */
export type Abstract =
  | { readonly kind: 'constant' }
  /** A matrix leaf, or its transpose: which of its axes are inputs, a product decides. */
  | { readonly kind: 'matrix'; readonly of: TrainedLeaf; readonly turned: boolean }
  | Affine
  /** A function of losses of rows, in which nothing trained occurs beside them. */
  | { readonly kind: 'losses' }
  | { readonly kind: 'refused'; readonly why: NoBound }

export const refused = (why: string): Abstract => ({ kind: 'refused', why: noBound(why) })

/** The names of the leaves in a value, for a sentence. */
export const leavesIn = (...values: readonly Abstract[]): string => {
  const paths = values.flatMap(v =>
    v.kind === 'matrix' ? [v.of.path] : v.kind === 'affine' ? v.terms.map(({ path }) => path) : [],
  )
  return [...new Set(paths)].join(' and ')
}

/** A shape without an axis. */
export const withoutAxis = (shape: Shape, axis: number | undefined): Shape => shape.filter((_, i) => i !== axis)

import type { Node, Shape } from '../../tensor/index.ts'

/**
 * The reason why no bound is proved, in one sentence: the loss has a corner in the trained part, or no rule covers it.
 */
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

/** A trained leaf and its path. */
export interface TrainedLeaf {
  readonly path: string
  readonly leaf: Node
}

/** Σ features[…, i] leaf[i, o], or leaf[o, i] if the features run along axis 1 of the leaf. */
export interface Term extends TrainedLeaf {
  readonly features: Node
  readonly along: 0 | 1
}

/**
 * A value y[…, o] = Σ of terms + a frozen part. `outputs` is the axis of o in y, absent if a leaf has a single output.
 * Features have the other axes of y, the rows, followed by an axis of their own.
 */
export interface Affine {
  readonly kind: 'affine'
  readonly outputs: number | undefined
  readonly terms: readonly Term[]
}

/** A node as a function of the trained leaves. */
export type Abstract =
  | { readonly kind: 'constant' }
  /** A matrix leaf, or its transpose: a product decides which of its axes are the inputs. */
  | { readonly kind: 'matrix'; readonly of: TrainedLeaf; readonly turned: boolean }
  | Affine
  /** A function of losses of rows in which no trained leaf occurs outside those losses. */
  | { readonly kind: 'losses' }
  | { readonly kind: 'refused'; readonly why: NoBound }

export const refused = (why: string): Abstract => ({ kind: 'refused', why: noBound(why) })

/** The names of the leaves in a value, for a message. */
export const leavesIn = (...values: readonly Abstract[]): string => {
  const paths = values.flatMap(v =>
    v.kind === 'matrix' ? [v.of.path] : v.kind === 'affine' ? v.terms.map(({ path }) => path) : [],
  )
  return [...new Set(paths)].join(' and ')
}

/** A shape without an axis. */
export const withoutAxis = (shape: Shape, axis: number | undefined): Shape => shape.filter((_, i) => i !== axis)

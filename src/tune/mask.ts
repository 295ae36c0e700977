import { placeholder, type Dim, type Node } from '../tensor/index.ts'
import { AmbiguousTree, placesOf } from './tree.ts'

/** The trained part of a leaf: a tagged union, never null, never a callback. */
export type LeafMask = All | Frozen | Columns<Dim> | Entries<Dim>
export interface All {
  readonly mask: 'all'
}
export interface Frozen {
  readonly mask: 'frozen'
}
/**
 * Columns of the paper's W: input features, along the axis of a leaf's inputs. A matrix is stored `[in, out]`, so that
 * a column is a contiguous row of storage; a convolution's weight declares another axis. The index is data of the run,
 * never a constant of the program.
 */
export interface Columns<R extends Dim> {
  readonly mask: 'columns'
  readonly count: R
  readonly index: Node
}
/** Single entries, counted along the flattened leaf. */
export interface Entries<R extends Dim> {
  readonly mask: 'entries'
  readonly count: R
  readonly index: Node
}
/** The type of a mask whose targets are known only at run time; its focus is opaque. */
export interface Dynamic {
  readonly mask: 'dynamic'
}

/** Trains the whole leaf. */
export const all: All = { mask: 'all' }
/** Trains nothing of a leaf: it has neither a gradient nor moments. */
export const frozen: Frozen = { mask: 'frozen' }
/** Trains `count` columns, inputs of a leaf; their index is data of the run. @example columns(8) */
export const columns = <const R extends Dim>(count: R): Columns<R> => ({
  mask: 'columns',
  count,
  index: placeholder([count], 'i32'),
})
/** Trains `count` single entries of the flattened leaf; their index is data of the run. @example entries(100) */
export const entries = <const R extends Dim>(count: R): Entries<R> => ({
  mask: 'entries',
  count,
  index: placeholder([count], 'i32'),
})

const isMask = (leaf: unknown): leaf is LeafMask =>
  typeof leaf === 'object' &&
  leaf !== null &&
  'mask' in leaf &&
  (leaf.mask === 'all' || leaf.mask === 'frozen' || leaf.mask === 'columns' || leaf.mask === 'entries')

/** A leaf with its path and mask. */
export interface MaskedLeaf {
  readonly path: string
  readonly leaf: Node
  readonly mask: LeafMask
}

/** Tests whether two masks train a leaf in the same way. */
const alike = (a: LeafMask, b: LeafMask): boolean =>
  a === b || (a.mask === b.mask && ('index' in a ? 'index' in b && a.index === b.index : true))

/**
 * Pairs the leaves of a parameter tree with those of a mask of the same structure. A leaf at several places is one
 * parameter: it is trained at the first place that trains it, and frozen at the others.
 * @throws {AmbiguousTree} if the places of one leaf train it differently, or the trees differ
 */
export const maskedLeaves = (params: unknown, mask: unknown): readonly MaskedLeaf[] => {
  const {
    places,
    others: [other],
  } = placesOf(params, mask)
  const trained = new Map<Node, MaskedLeaf>()
  const masked = places.map(({ path, leaf, found }): MaskedLeaf => {
    if (!isMask(found)) throw new AmbiguousTree(`the mask has no leaf at ${path}`)
    const before = trained.get(leaf)
    if (found.mask === 'frozen') return { path, leaf, mask: found }
    if (leaf.dtype !== 'f32')
      throw new AmbiguousTree(`the mask trains ${path}, which is ${leaf.dtype}: only f32 is trained`)
    if (before && !alike(before.mask, found))
      throw new AmbiguousTree(`${before.path} and ${path} are one parameter, and their masks train it differently`)
    const own = { path, leaf, mask: before ? frozen : found }
    if (!before) trained.set(leaf, own)
    return own
  })
  if (other !== undefined) throw new AmbiguousTree(`the mask has a leaf at ${other}, where there is no parameter`)
  return masked
}

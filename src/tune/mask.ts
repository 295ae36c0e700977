import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  placeholder,
  product,
  ShapeMismatch,
  whole,
  u,
  type Dim,
  type DType,
  type Node,
  type Shape,
  type Tensor,
  type Wanted,
} from '../tensor/index.ts'
import { AmbiguousTree, isTensor, mapTree, placesOf } from './tree.ts'

/** The trained part of a leaf: a tagged union, never null, never a callback. */
export type LeafMask = All | Frozen | Columns<Dim> | Entries<Dim>
export interface All {
  readonly mask: 'all'
}
export interface Frozen {
  readonly mask: 'frozen'
}
/**
 * Columns of the paper's W: input features. Weights are stored `[in, out]`, so a column is a contiguous row of storage;
 * only this lens relies on that. The index is data of the run, never a constant of the program.
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
/** Trains `count` columns, rows of storage; their index is data of the run. @example columns(8) */
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

/** The part of a leaf that its mask trains. */
type FocusLeaf<L, M> = M extends Frozen
  ? undefined
  : M extends All
    ? L
    : M extends Columns<infer R>
      ? L extends Tensor<infer S, infer D>
        ? S extends readonly [Dim, ...infer Rest extends Shape]
          ? Tensor<readonly [R, ...Rest], D>
          : never
        : never
      : M extends Entries<infer R>
        ? L extends { readonly dtype: infer D extends DType }
          ? Tensor<readonly [R], D>
          : never
        : never

type FocusTree<P, M> = M extends Dynamic
  ? {}
  : M extends LeafMask
    ? FocusLeaf<P, M>
    : P extends Node
      ? never
      : P extends readonly (infer E)[]
        ? number extends P['length']
          ? M extends readonly (infer N)[]
            ? readonly FocusTree<E, N>[]
            : never
          : { readonly [K in keyof P]: FocusTree<P[K], K extends keyof M ? M[K] : never> }
        : { readonly [K in keyof P & keyof M as Trains<M[K]> extends false ? never : K]: FocusTree<P[K], M[K]> }
type Trains<M> = M extends Frozen ? false : true

declare const maskOf: unique symbol
/**
 * The brand of the part that a mask trains; no value has it. It is an interface, so that a declaration names it and not
 * its key.
 */
export interface TrainedBy<M> {
  readonly [maskOf]: M
}
/**
 * The part that a mask trains. It is branded by the mask: without the brand, a full gradient would pass for a focus.
 */
export type Focus<P, M> = FocusTree<P, M> & TrainedBy<M>

/** The effect of a mask on one leaf: a lens on it, and the `Wanted` that differentiation needs. */
export interface Lens {
  readonly index: readonly Node[]
  readonly get: (leaf: Node) => Node
  readonly put: (leaf: Node, part: Node) => Node
  readonly wanted: (leaf: Node) => Wanted
}

/**
 * The lens of a trained leaf, `undefined` for a frozen one. get ∘ put = part, put ∘ get = leaf, put ∘ put = last put.
 */
export const lensOf = (mask: LeafMask): Lens | undefined => {
  switch (mask.mask) {
    case 'frozen':
      return undefined
    case 'all':
      return { index: [], get: leaf => leaf, put: (_, part) => part, wanted: whole }
    case 'columns':
      return indexed(
        mask.index,
        'columns',
        leaf => leaf,
        (_, changed) => changed,
      )
    case 'entries':
      return indexed(
        mask.index,
        'entries',
        leaf => u.reshape(leaf, [flatDim(leaf.shape)]),
        (leaf, changed) => u.reshape(changed, leaf.shape),
      )
  }
}

/**
 * The places of trained numbers in a flattened `[in, out]` leaf, in the order of the part, for columns or entries.
 * @example placesAt('columns', Int32Array.of(2), [4, 3]) // [6, 7, 8]
 */
export const placesAt = (
  among: (Columns<Dim> | Entries<Dim>)['mask'],
  index: Int32Array,
  [, width = 1]: readonly number[],
): Int32Array => {
  if (among === 'entries') return index
  const places = new Int32Array(index.length * width)
  for (let i = 0; i < index.length; i++) {
    const start = index[i]! * width
    for (let j = 0; j < width; j++) places[i * width + j] = start + j
  }
  return places
}

/** A single dim for a whole leaf. */
const flatDim = (shape: Shape): Dim =>
  pipe(
    product(shape),
    E.getOrElse((message): Dim => {
      throw new ShapeMismatch(message)
    }),
  )

const indexed = (
  index: Node,
  kind: string,
  flat: (leaf: Node) => Node,
  unflat: (leaf: Node, changed: Node) => Node,
): Lens => ({
  index: [index],
  get: leaf => u.take(flat(leaf), index, 0),
  put: (leaf, part) => unflat(leaf, u.put(flat(leaf), index, part, 0)),
  wanted: leaf => ({
    leaf,
    kind: `${kind} ${index.shape.join()}`,
    index: [index],
    get: (cotangent, [i]) => u.take(flat(cotangent), i!, 0),
  }),
})

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

/**
 * The focus of a parameter tree: the trained part of every leaf, without frozen leaves. A leaf at several places is
 * included once.
 * @example focus(model.params, mask)
 */
export const focus = <P, M>(params: P, mask: M): Focus<P, M> => {
  const masks = maskedLeaves(params, mask)
  let next = 0
  // the mapped tree has the structure that the type computes
  return mapTree(params, isTensor, leaf => lensOf(masks[next++]!.mask)?.get(leaf)) as Focus<P, M>
}

/** The parameter tree with its focus written back. */
export const putFocus = <P, M>(params: P, mask: M, part: Focus<P, M>): P => {
  const masks = maskedLeaves(params, mask)
  const changed = new Map<Node, Node>()
  placesOf(params, part).places.forEach(({ leaf, found }, i) => {
    const lens = lensOf(masks[i]!.mask)
    if (lens && isTensor(found)) changed.set(leaf, lens.put(leaf, found))
  })
  return mapTree(params, isTensor, leaf => changed.get(leaf) ?? leaf) as P
}

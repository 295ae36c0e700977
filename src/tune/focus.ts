import type { Dim, DType, InputsAxis, Node, Shape, Tensor } from '../tensor/index.ts'
import { lensOf } from './lens.ts'
import { maskedLeaves, type All, type Columns, type Dynamic, type Entries, type Frozen, type LeafMask } from './mask.ts'
import { isTensor, mapTree, placesOf } from './tree.ts'

/** The part of a leaf that its mask trains. */
type FocusLeaf<L, M> = M extends Frozen
  ? undefined
  : M extends All
    ? L
    : M extends Columns<infer R>
      ? L extends Tensor<infer S, infer D>
        ? Taken<S, InputsAxis<L>, R, D>
        : never
      : M extends Entries<infer R>
        ? L extends { readonly dtype: infer D extends DType }
          ? Tensor<readonly [R], D>
          : never
        : never

/** A leaf with R inputs, which are along the axis A. */
type Taken<S extends Shape, A extends number, R extends Dim, D extends DType> = A extends 0
  ? S extends readonly [Dim, ...infer Rest extends Shape]
    ? Tensor<readonly [R, ...Rest], D>
    : never
  : Tensor<{ readonly [K in keyof S]: K extends `${A}` ? R : S[K] }, D>

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

/**
 * The focus of a parameter tree: the trained part of every leaf, without frozen leaves. A leaf at several places is
 * included once.
 * @example focus(model.params, mask)
 */
export const focus = <P, M>(params: P, mask: M): Focus<P, M> => {
  const masks = maskedLeaves(params, mask)
  let next = 0
  // the mapped tree has the structure that the type computes
  return mapTree(params, isTensor, leaf => lensOf(masks[next++]!.mask, leaf)?.get(leaf)) as Focus<P, M>
}

/** The parameter tree with its focus written back. */
export const putFocus = <P, M>(params: P, mask: M, part: Focus<P, M>): P => {
  const masks = maskedLeaves(params, mask)
  const changed = new Map<Node, Node>()
  placesOf(params, part).places.forEach(({ leaf, found }, i) => {
    const lens = lensOf(masks[i]!.mask, leaf)
    if (lens && isTensor(found)) changed.set(leaf, lens.put(leaf, found))
  })
  return mapTree(params, isTensor, leaf => changed.get(leaf) ?? leaf) as P
}

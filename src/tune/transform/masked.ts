import type { Node } from '../../tensor/index.ts'
import { isTensor, mapBeside, mapTree, tensorsOf } from '../tree.ts'
import { checksOf, type Apply, type Evaluated, type Fn, type Transform } from './transform.ts'

/**
 * The leaves that a transform applies to: selected by path, or by a tree of booleans, each of which covers everything
 * below it.
 */
export type Subtree =
  { readonly by: 'path'; readonly where: (path: string) => boolean } | { readonly by: 'tree'; readonly tree: Chosen }
export type Chosen = boolean | readonly Chosen[] | { readonly [key: string]: Chosen }

/**
 * The selected part of a tree: exact for a tree of literal booleans; with possibly missing leaves if the selection is
 * only known at run time.
 */
export type Selected<G, M> = M extends { readonly by: 'tree'; readonly tree: infer C } ? Picked<G, C> : Sparse<G>
type Picked<G, C> = boolean extends C
  ? Sparse<G>
  : C extends true
    ? G
    : C extends false
      ? G extends Node
        ? undefined
        : Sparse<G>
      : G extends readonly (infer E)[]
        ? readonly (C extends readonly (infer N)[] ? Picked<E, N> : Sparse<E>)[]
        : {
            readonly [K in keyof G as K extends keyof C ? (C[K] extends false ? never : K) : never]: K extends keyof C
              ? Picked<G[K], C[K]>
              : never
          }
/** A tree of which leaves may be missing. */
export type Sparse<G> = G extends Node
  ? G | undefined
  : G extends readonly (infer E)[]
    ? readonly Sparse<E>[]
    : { readonly [K in keyof G as Exclude<K, symbol>]?: Sparse<G[K]> }

export interface Masked<F extends Fn, M> extends Fn {
  readonly out: Apply<F, Selected<this['in'], M>>
}

/** Tests whether a tree selects anything. */
const choosesAny = (tree: Chosen): boolean => (typeof tree === 'boolean' ? tree : Object.values(tree).some(choosesAny))

/** The leaves of a tree that a subtree selects; a leaf that it does not mention is not selected. */
const chosenOf = (subtree: Subtree, tree: unknown): unknown =>
  subtree.by === 'path'
    ? mapTree(tree, isTensor, (leaf, path) => (subtree.where(path) ? leaf : undefined))
    : mapBeside(tree, isTensor, subtree.tree, (leaf, chosen) => (chosen === true ? leaf : undefined))

/**
 * Applies a transform to the selected leaves only; its state exists for those only. The updates of all other leaves
 * **pass through unchanged**, as in `optax.masked`: to freeze them, chain with `masked(setToZero, …)` of the others.
 * @example chain(adamw({ lr: 1e-4 }), masked(scale(0.1), { by: 'tree', tree: { embed: true, layers: false } }))
 */
export const masked = <F extends Fn, const M extends Subtree>(
  transform: Transform<F>,
  subtree: M,
): Transform<Masked<F, M>> => {
  // the type Selected describes exactly the tree without the other leaves
  const select = <G>(tree: G): Selected<G, M> => chosenOf(subtree, tree) as Selected<G, M>
  return {
    ...checksOf(transform),
    init: params => {
      const chosen = select(params)
      if (subtree.by === 'tree' && choosesAny(subtree.tree) && tensorsOf(chosen).length === 0) {
        throw new RangeError(
          `masked selects nothing: what is trained is ${tensorsOf(params)
            .map(([path]) => path)
            .join(', ')}`,
        )
      }
      return transform.init(chosen)
    },
    update: <G>(grad: G, state: Apply<Masked<F, M>, G>, params: G, evaluated?: Evaluated<G>) => {
      const [updates, next] = transform.update(
        select(grad),
        state,
        select(params),
        evaluated && { ...evaluated, gradient: select(evaluated.gradient) },
      )
      const changed = new Map(tensorsOf(updates))
      return [mapTree(grad, isTensor, (g, path) => changed.get(path) ?? g) as G, next]
    },
  }
}

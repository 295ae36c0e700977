import type { Node } from '../../tensor/index.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Apply, Evaluated, Fn, Transform } from './transform.ts'

/** Which leaves a transform sees: by their path, or by a tree of booleans, each of which speaks for everything below it. */
export type Subtree = { readonly by: 'path'; readonly where: (path: string) => boolean } | { readonly by: 'tree'; readonly tree: Chosen }
export type Chosen = boolean | readonly Chosen[] | { readonly [key: string]: Chosen }

/** The selected part of a tree: exact for a tree of literal booleans, possibly missing leaves where only the run knows. */
export type Selected<G, M> =
  M extends { readonly by: 'tree'; readonly tree: infer C } ? Picked<G, C> : Sparse<G>
type Picked<G, C> = boolean extends C ? Sparse<G> : C extends true ? G
  : C extends false ? G extends Node ? undefined : Sparse<G>
  : G extends readonly (infer E)[] ? readonly (C extends readonly (infer N)[] ? Picked<E, N> : Sparse<E>)[]
  : { readonly [K in keyof G as K extends keyof C ? C[K] extends false ? never : K : never]: K extends keyof C ? Picked<G[K], C[K]> : never }
type Sparse<G> = G extends Node ? G | undefined
  : G extends readonly (infer E)[] ? readonly Sparse<E>[]
  : { readonly [K in keyof G as Exclude<K, symbol>]?: Sparse<G[K]> }

export interface Masked<F extends Fn, M> extends Fn { readonly out: Apply<F, Selected<this['in'], M>> }

/** Whether a subtree holds a path; what it does not mention, it does not select. */
const holds = (subtree: Subtree, path: string): boolean => {
  if (subtree.by === 'path') return subtree.where(path)
  const under = (tree: Chosen | undefined, keys: readonly string[]): boolean => {
    if (typeof tree !== 'object') return tree ?? false
    return under(new Map(Object.entries(tree)).get(keys[0] ?? ''), keys.slice(1))
  }
  return under(subtree.tree, path === '' ? [] : path.split('.'))
}

/**
 * Applies a transform to the selected leaves only; its state exists for those only. The updates of all other leaves **pass through unchanged**, as in
 * `optax.masked`: to freeze them, chain with `masked(setToZero, …)` of the others.
 * @example chain(adamw({ lr: 1e-4 }), masked(scale(0.1), { by: 'tree', tree: { embed: true, layers: false } }))
 */
export const masked = <F extends Fn, const M extends Subtree>(transform: Transform<F>, subtree: M): Transform<Masked<F, M>> => {
  // leaving leaves out of a tree is what the type Selected says
  const select = <G>(tree: G): Selected<G, M> => mapTree(tree, isTensor, (leaf, path) => (holds(subtree, path) ? leaf : undefined)) as Selected<G, M>
  return {
    init: params => transform.init(select(params)),
    update: <G>(grad: G, state: Apply<Masked<F, M>, G>, params: G, evaluated?: Evaluated<G>) => {
      const [updates, next] = transform.update(select(grad), state, select(params), evaluated && { ...evaluated, gradient: select(evaluated.gradient) }), changed = new Map(tensorsOf(updates))
      return [mapTree(grad, isTensor, (g, path) => changed.get(path) ?? g) as G, next]
    },
  }
}

import type { DType, Node, Shape, Tensor, Value } from '../tensor/index.ts'

/** A parameter tree: nested readonly records and arrays with tensors at the leaves. */
export type Tree<L> = L | readonly Tree<L>[] | { readonly [key: string]: Tree<L> }

/** The tree of data for a tree of tensors. Arrays stay arrays. */
export type Values<T> = T extends Tensor<infer S, infer D> ? Value<S, D> : { readonly [K in keyof T]: Values<T[K]> }

/** Data, or what reads it when it is needed. Leaves are read one by one and never retained, so that a model is in memory once. */
export type LazyLeaf<S extends Shape, D extends DType> = Value<S, D> | { readonly read: () => Promise<Value<S, D>> }
export type Lazy<T> = T extends Tensor<infer S, infer D> ? LazyLeaf<S, D> : { readonly [K in keyof T]: Lazy<T[K]> }

const isRecord = (tree: unknown): tree is Readonly<Record<string, unknown>> => typeof tree === 'object' && tree !== null && !Array.isArray(tree)
/** True for the nodes of the language, which are the leaves of parameter trees. */
export const isTensor = (leaf: unknown): leaf is Node => isRecord(leaf) && 'op' in leaf && 'inputs' in leaf && 'shape' in leaf
/** True for data. */
export const isValue = (leaf: unknown): leaf is Value<Shape, DType> => isRecord(leaf) && 'data' in leaf && 'sizes' in leaf

/** True for data, and for what reads it when it is needed. */
export const isLazyLeaf = (leaf: unknown): leaf is LazyLeaf<Shape, DType> => isValue(leaf) || (isRecord(leaf) && typeof leaf['read'] === 'function')

/**
 * Every leaf of a tree with its path, in order: keys as they were written, arrays by position.
 * @example leaves({ layers: [{ w: x }] }, isTensor) // [['layers.0.w', x]]
 */
export const leaves = <L>(tree: unknown, isLeaf: (candidate: unknown) => candidate is L, path = ''): readonly (readonly [path: string, leaf: L])[] => {
  if (isLeaf(tree)) return [[path, tree]]
  const under = (key: string): string => (path === '' ? key : `${path}.${key}`)
  if (Array.isArray(tree)) return tree.flatMap((child: unknown, i) => leaves(child, isLeaf, under(String(i))))
  return isRecord(tree) ? Object.entries(tree).flatMap(([key, child]) => leaves(child, isLeaf, under(key))) : []
}

/** The same tree with other leaves; a leaf that becomes `undefined` is left out of its record. Arrays stay arrays. */
export const mapTree = <L>(tree: unknown, isLeaf: (candidate: unknown) => candidate is L, f: (leaf: L, path: string) => unknown, path = ''): unknown => {
  if (isLeaf(tree)) return f(tree, path)
  const under = (key: string): string => (path === '' ? key : `${path}.${key}`)
  if (Array.isArray(tree)) return tree.map((child: unknown, i) => mapTree(child, isLeaf, f, under(String(i))))
  if (!isRecord(tree)) return tree
  return Object.fromEntries(Object.entries(tree).flatMap(([key, child]) => {
    const mapped = mapTree(child, isLeaf, f, under(key))
    return mapped === undefined ? [] : [[key, mapped]]
  }))
}

/** The leaves of a tree of tensors, by path. @example tensorsOf(model.params) */
export const tensorsOf = (tree: unknown): readonly (readonly [path: string, tensor: Node])[] => leaves(tree, isTensor)

/** Rebuilds a tree of the structure of `like` from leaves in the order of {@link tensorsOf}. */
export const unflatten = <T, L>(like: T, flat: readonly L[]): unknown => {
  let next = 0
  return mapTree(like, isTensor, () => flat[next++])
}

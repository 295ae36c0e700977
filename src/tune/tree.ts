import { isNode, type DataOf, type DType, type Node, type Shape, type Tensor, type Value } from '../tensor/index.ts'

/** A parameter tree: nested readonly records and arrays with tensors at the leaves. */
export type Tree<L> = L | readonly Tree<L>[] | { readonly [key: string]: Tree<L> }

/** Data of any shape and element type: every `Value` is one. */
export interface AnyValue {
  readonly shape: Shape
  readonly sizes: readonly number[]
  readonly dtype: DType
  readonly data: DataOf<DType>
}

/** The tree of data for a tree of tensors. Arrays stay arrays; the brand of a tree of tensors is not data. */
export type Values<T> =
  T extends Tensor<infer S, infer D>
    ? Value<S, D>
    : T extends readonly unknown[]
      ? { readonly [K in keyof T]: Values<T[K]> }
      : { readonly [K in keyof T as Exclude<K, symbol>]: Values<T[K]> }

/**
 * Data, or a reader that is called when the data is needed. Leaves are read one by one and never retained, so that a
 * model is in memory only once.
 */
export type LazyLeaf<S extends Shape, D extends DType> = Value<S, D> | { readonly read: () => Promise<Value<S, D>> }
export type Lazy<T> = T extends Tensor<infer S, infer D> ? LazyLeaf<S, D> : { readonly [K in keyof T]: Lazy<T[K]> }

const isRecord = (tree: unknown): tree is Readonly<Record<string, unknown>> =>
  typeof tree === 'object' && tree !== null && !Array.isArray(tree) && !ArrayBuffer.isView(tree)
/** Tests for the nodes of the language, which are the leaves of parameter trees. */
export const isTensor = isNode
/** Tests for data: no tree has a typed array below a key, so a subtree is never taken for data. */
export const isValue = (leaf: unknown): leaf is Value<Shape, DType> =>
  isRecord(leaf) && ArrayBuffer.isView(leaf['data']) && Array.isArray(leaf['sizes'])

/** True for data of floats. */
export const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/** Tests for data, and for a reader of data. */
export const isLazyLeaf = (leaf: unknown): leaf is LazyLeaf<Shape, DType> =>
  isValue(leaf) || (isRecord(leaf) && typeof leaf['read'] === 'function')

/** Tests for a record or an array. */
const isBranch = (tree: unknown): tree is object => Array.isArray(tree) || isRecord(tree)
const under = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)

/**
 * Every leaf of a tree with its path, in order: keys in their written order, arrays by position.
 * @example leaves({ layers: [{ w: x }] }, isTensor) // [['layers.0.w', x]]
 */
export const leaves = <L>(
  tree: unknown,
  isLeaf: (candidate: unknown) => candidate is L,
  path = '',
): readonly (readonly [path: string, leaf: L])[] => {
  if (isLeaf(tree)) return [[path, tree]]
  return isBranch(tree) ? Object.entries(tree).flatMap(([key, child]) => leaves(child, isLeaf, under(path, key))) : []
}

/** A leaf of a declared tree, and the data at its place in a tree of data: `undefined` if there is none. */
export interface Place {
  readonly path: string
  readonly leaf: Node
  readonly found: unknown
}

/**
 * The data in a tree at the leaves of a declared tree, and the paths of data elsewhere. The declaration determines
 * where data is, never the form of the data.
 * @example placesOf({ x: f32('batch') }, { x: value, y: value }) // places: [{ path: 'x', … }], others: ['y']
 */
export const placesOf = (
  declared: unknown,
  data: unknown,
  path = '',
): { readonly places: readonly Place[]; readonly others: readonly string[] } => {
  if (isTensor(declared)) return { places: [{ path, leaf: declared, found: data }], others: [] }
  if (!isBranch(declared)) return { places: [], others: [] }
  const given = new Map(isBranch(data) ? Object.entries(data) : [])
  const below = Object.entries(declared).map(([key, child]) => placesOf(child, given.get(key), under(path, key)))
  const others = [...given]
    .filter(([key, child]) => child !== undefined && !Object.hasOwn(declared, key))
    .map(([key]) => under(path, key))
  return { places: below.flatMap(({ places }) => places), others: [...others, ...below.flatMap(found => found.others)] }
}

/** The same tree with other leaves; a leaf that becomes `undefined` is removed from its record. Arrays stay arrays. */
export const mapTree = <L>(
  tree: unknown,
  isLeaf: (candidate: unknown) => candidate is L,
  f: (leaf: L, path: string) => unknown,
  path = '',
): unknown => {
  if (isLeaf(tree)) return f(tree, path)
  if (Array.isArray(tree)) return tree.map((child: unknown, i) => mapTree(child, isLeaf, f, under(path, String(i))))
  if (!isRecord(tree)) return tree
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, child]) => {
      const mapped = mapTree(child, isLeaf, f, under(path, key))
      return mapped === undefined ? [] : [[key, mapped]]
    }),
  )
}

/**
 * The same tree with other leaves, each computed from the leaf and from the value at its place in a second tree. A
 * value there that is not a branch applies to everything below it.
 * @example mapBeside({ a: [x, y] }, isTensor, { a: true }, (leaf, keep) => (keep ? leaf : undefined))
 */
export const mapBeside = <L>(
  tree: unknown,
  isLeaf: (candidate: unknown) => candidate is L,
  beside: unknown,
  f: (leaf: L, found: unknown, path: string) => unknown,
  path = '',
): unknown => {
  if (isLeaf(tree)) return f(tree, beside, path)
  const below = (key: string): unknown =>
    !isBranch(beside)
      ? beside
      : Object.hasOwn(beside, key)
        ? (beside as Readonly<Record<string, unknown>>)[key]
        : undefined
  const mapped = (key: string, child: unknown): unknown => mapBeside(child, isLeaf, below(key), f, under(path, key))
  if (Array.isArray(tree)) return tree.map((child: unknown, i) => mapped(String(i), child))
  if (!isRecord(tree)) return tree
  return Object.fromEntries(
    Object.entries(tree)
      .map(([key, child]) => [key, mapped(key, child)] as const)
      .filter(([, child]) => child !== undefined),
  )
}

/**
 * Thrown if two leaves of a declared tree cannot be told apart, or if something that is not a leaf is in a leaf's
 * place; the message names it.
 */
export class AmbiguousTree extends Error {
  override readonly name = 'AmbiguousTree'
}

/**
 * The leaves of a declared tree by path, each path once.
 * @throws {AmbiguousTree} if a key with a dot makes the path of another leaf: `two of the parameters are called a.b`
 */
export const declaredLeaves = (what: string, tree: unknown): readonly (readonly [path: string, leaf: Node])[] => {
  const found = tensorsOf(tree)
  const seen = new Set<string>()
  for (const [path] of found) {
    if (seen.has(path))
      throw new AmbiguousTree(
        `two of the ${what} are called ${path}: a key with a dot in it reads like keys below each other; rename one`,
      )
    seen.add(path)
  }
  return found
}

/** The leaves of a tree of tensors, by path. @example tensorsOf(model.params) */
export const tensorsOf = (tree: unknown): readonly (readonly [path: string, tensor: Node])[] => leaves(tree, isTensor)

/** Rebuilds a tree with the structure of `like` from leaves in the order of {@link tensorsOf}. */
export const unflatten = <T, L>(like: T, flat: readonly L[]): unknown => {
  let next = 0
  return mapTree(like, isTensor, () => flat[next++])
}

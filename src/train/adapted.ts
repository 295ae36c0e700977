import { changes, checkRange, mergedWeight, restoredWeight, type Adapter, type WeightedAdapter } from '../io/index.ts'
import type { Precision } from '../backend/index.ts'
import type { Shape, Value } from '../tensor/index.ts'
import { isFloats, leaves, mapTree, moduleOf, type LazyLeaf } from '../tune/index.ts'

/** Weights and buffers with adapters written into them, leaf by leaf as they are read. */

type FloatLeaf = LazyLeaf<Shape, 'f32'>
/** Tests for floats, and for a reader of floats. */
export const isFloatLeaf = (leaf: unknown): leaf is FloatLeaf =>
  isFloats(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf)
const readLeaf = async (leaf: FloatLeaf): Promise<Value<Shape>> => ('read' in leaf ? leaf.read() : leaf)

/** The weights, checked to have every leaf that an adapter changes: a tied head is not among them. */
const complete = <W>(weights: W, uses: readonly WeightedAdapter[]): W => {
  const paths = new Set(leaves(weights, isFloatLeaf).map(([path]) => moduleOf(path)))
  const missing = uses
    .flatMap(({ adapter: { modules, whole } }) => [...modules.keys(), ...(whole?.keys() ?? [])])
    .find(path => !paths.has(path))
  if (missing !== undefined)
    throw new Error(`the weights have no ${missing}, which an adapter changes: loadedFor opens the model for it`)
  return weights
}

/** A tree with some leaves changed when they are read. */
const changedLeaves = <W>(
  tree: W,
  uses: readonly WeightedAdapter[],
  change: (path: string, leaf: Value<Shape>) => Value<Shape>,
): W =>
  // the structure stays, and each leaf becomes its reader
  mapTree(tree, isFloatLeaf, (leaf, path) =>
    changes(uses, moduleOf(path)) ? { read: async () => change(moduleOf(path), await readLeaf(leaf)) } : leaf,
  ) as W

/** The weights with some leaves changed when they are read. */
const withChanges = <W>(
  weights: W,
  uses: readonly WeightedAdapter[],
  change: (path: string, leaf: Value<Shape>) => Value<Shape>,
): W => changedLeaves(complete(weights, uses), uses, change)

/**
 * The weights of a base with adapters written into them, each with its weight, still read leaf by leaf. They must have
 * been checked to belong to the base (`checkBase`).
 * @example compile(step, { weights: withAdapters(weights, [{ adapter }, { adapter: other, weight: 0.5 }]) })
 */
export const withAdapters = <W>(weights: W, uses: readonly WeightedAdapter[]): W =>
  withChanges(weights, uses, (path, leaf) => mergedWeight(uses, path, leaf))

/**
 * The buffers of a base with those that adapters hold, which training has changed, still read leaf by leaf.
 * @example compile(model, { weights: withAdapters(weights, uses), buffers: buffersWithAdapters(buffers, uses) })
 */
export const buffersWithAdapters = <U>(buffers: U, uses: readonly WeightedAdapter[]): U => {
  const paths = new Set(leaves(buffers, isFloatLeaf).map(([path]) => path))
  const missing = uses.flatMap(({ adapter }) => [...(adapter.buffers?.keys() ?? [])]).find(path => !paths.has(path))
  if (missing !== undefined) throw new Error(`the model has no buffer ${missing}, which an adapter changes`)
  return changedLeaves(buffers, uses, (path, leaf) => mergedWeight(uses, path, leaf))
}

/**
 * The weights of a base with an adapter written into them. `part: 'base'` writes the base's own columns or entries back
 * instead, which restores it bit for bit.
 * @example compile(step, { weights: withAdapter(weights, adapter) })
 */
export const withAdapter = <W>(weights: W, adapter: Adapter, part: 'values' | 'base' = 'values'): W =>
  part === 'values'
    ? withAdapters(weights, [{ adapter }])
    : withChanges(weights, [{ adapter }], (path, leaf) => restoredWeight(adapter, path, leaf))

/**
 * Weights that refuse to be read if they contain a finite number that a 16-bit precision would make an infinity.
 * @example compile(step, { weights: inRange(weights, 'f16'), precision: 'f16' })
 */
export const inRange = <W>(weights: W, precision: Precision = 'f32'): W => {
  if (precision === 'f32') return weights
  const checked = async (path: string, leaf: FloatLeaf): Promise<Value<Shape>> => {
    const value = await readLeaf(leaf)
    checkRange(`weight ${path}`, precision, value.sizes, value.data)
    return value
  }
  // the structure stays, and each leaf becomes its reader
  return mapTree(weights, isFloatLeaf, (leaf, path) => ({ read: () => checked(path, leaf) })) as W
}

/**
 * The buffers that are not what they were; all of those that `before` does not know.
 * @example const buffers = changedBuffers(await session.buffers(), path => before.get(path))
 */
export const changedBuffers = (
  buffers: unknown,
  before: (path: string) => ArrayLike<number> | undefined,
): ReadonlyMap<string, Value<Shape>> =>
  new Map(
    leaves(buffers, isFloats).filter(([path, { data }]) => {
      const first = before(path)
      return first === undefined || data.some((x, i) => x !== first[i])
    }),
  )

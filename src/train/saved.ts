import { isTransposed, transposeMatrix, type AdapterOrigin, type PacaModule, type SavedAdapter } from '../io/index.ts'
import type { LlamaParams } from '../model/index.ts'
import type { Shape, Value } from '../tensor/index.ts'
import { isValue, leaves, mapTree, type Lazy, type LazyLeaf } from '../tune/index.ts'

const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/** The parts of a focus by path. */
const partsOf = (focus: unknown): readonly (readonly [path: string, part: Value<Shape>])[] => leaves(focus, isFloats)

/** A whole weight between `[in, out]` of the tree and `[out, in]` of files. */
const turned = (path: string, value: Value<Shape>): Value<Shape> => {
  const [rows = 1, columns = 1] = value.sizes
  if (value.sizes.length !== 2 || !isTransposed(path)) return value
  return { shape: [columns, rows], sizes: [columns, rows], dtype: 'f32', data: transposeMatrix(value.data, rows, columns) }
}

/** What a session read: the trained parts, and before the first step those of the base. */
export type TrainedParts =
  | { readonly method: 'full'; readonly focus: unknown }
  | {
    readonly method: 'paca'; readonly rank: number; readonly columns: ReadonlyMap<string, Int32Array>
    readonly base: unknown; readonly focus: unknown
  }

/**
 * The adapter that a run has trained, as it is saved.
 * @example adapterOf(origin, { method: 'paca', rank: 8, columns: session.columns, base, focus: (await session.read()).focus })
 */
export const adapterOf = (origin: AdapterOrigin, trained: TrainedParts): SavedAdapter => {
  if (trained.method === 'full') {
    const modules = partsOf(trained.focus).map(([path, values]) => [path, { values: turned(path, values) }] as const)
    return { ...origin, method: 'full', modules: new Map(modules) }
  }
  const base = new Map(partsOf(trained.base))
  const modules = partsOf(trained.focus).map(([path, values]): readonly [string, PacaModule] => {
    const data = trained.columns.get(path)!
    return [path, { columns: { shape: [data.length], sizes: [data.length], dtype: 'i32', data }, values, base: base.get(path)! }]
  })
  return { ...origin, method: 'paca', rank: trained.rank, modules: new Map(modules) }
}

/** A column of a weight is a row of storage. */
const withColumns = (leaf: Value<Shape>, { columns }: PacaModule, part: Value<Shape>): Value<Shape> => {
  const data = leaf.data.slice(), out = leaf.sizes[1]!
  columns.data.forEach((column: number, i: number) => data.set(part.data.subarray(i * out, (i + 1) * out), column * out))
  return { ...leaf, data }
}

type FloatLeaf = LazyLeaf<Shape, 'f32'>
const isLazy = (leaf: unknown): leaf is FloatLeaf => isFloats(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf)
const readLeaf = async (leaf: FloatLeaf): Promise<Value<Shape>> => ('read' in leaf ? leaf.read() : leaf)

/**
 * The weights of a base with an adapter written into them, still read leaf by leaf. `part: 'base'` writes the base's own columns instead,
 * which restores it bit for bit. That the adapter belongs to the base is checked before (`checkBase`).
 * @example compile(step, { weights: withAdapter(weights, adapter) })
 */
export const withAdapter = (weights: Lazy<LlamaParams>, adapter: SavedAdapter, part: 'values' | 'base' = 'values'): Lazy<LlamaParams> =>
  // the structure stays, and each leaf becomes what reads it
  mapTree(weights, isLazy, (leaf, path) => {
    const changed = changesOf(adapter, part, path)
    return changed === undefined ? leaf : { read: async () => changed(await readLeaf(leaf)) }
  }) as Lazy<LlamaParams>

/** What an adapter does to a leaf, if anything. */
const changesOf = (adapter: SavedAdapter, part: 'values' | 'base', path: string): ((base: Value<Shape>) => Value<Shape>) | undefined => {
  if (adapter.method === 'paca') {
    const module = adapter.modules.get(path)
    return module && (base => withColumns(base, module, module[part]))
  }
  const module = adapter.modules.get(path)
  return module && part === 'values' ? base => ({ ...turned(path, module.values), shape: base.shape }) : undefined
}

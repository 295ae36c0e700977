import {
  changes,
  checkRange,
  mergedWeight,
  moduleTensors,
  restoredWeight,
  type AdapterOrigin,
  type AdapterSettings,
  type MethodTensors,
  type Adapter,
  type WeightedAdapter,
} from '../io/index.ts'
import type { Precision } from '../backend/index.ts'
import type { Shape, Value } from '../tensor/index.ts'
import {
  isValue,
  leafName,
  leaves,
  mapTree,
  maskedLeaves,
  type Addition,
  type Reparametrised,
  type FirstValue,
  type LazyLeaf,
  type MethodName,
} from '../tune/index.ts'

const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/** What a session read, and what else of a run belongs into its adapter. */
export interface TrainedParts {
  readonly method: MethodName
  /** As it was asked for; full fine-tuning has none. */
  readonly rank?: number
  readonly settings?: AdapterSettings
  /** The columns of PaCA or the entries of SHiRA: a session's `columns`. */
  readonly selection?: ReadonlyMap<string, Int32Array>
  /** The focus before the first step: the base's own columns or entries. */
  readonly base?: unknown
  readonly focus: unknown
  /** Leaves that the method adds and does not train, by path: see {@link remembering}. */
  readonly frozen?: ReadonlyMap<string, FirstValue>
  /** Leaves that were trained whole beside the method's modules. */
  readonly whole?: readonly string[]
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')))
/**
 * The module of a part: where the base is quantized, what is trained of a leaf stands in its place under the name of
 * `values`.
 */
const moduleOf = (path: string): string => (leafName(path) === 'values' ? parent(path) : path)
const byModule = (focus: unknown): ReadonlyMap<string, Value<Shape>> =>
  new Map(leaves(focus, isFloats).map(([path, part]) => [moduleOf(path), part]))

type Tensors = Readonly<Record<string, FirstValue>>

const grouped = (names: readonly string[], tensors: ReadonlyMap<string, FirstValue>): ReadonlyMap<string, Tensors> => {
  const modules = new Map<string, Tensors>()
  for (const [path, value] of tensors) {
    if (names.includes(leafName(path)))
      modules.set(parent(path), { ...modules.get(parent(path)), [leafName(path)]: value })
  }
  return modules
}

const indices = (data: Int32Array): Value<Shape, 'i32'> => ({
  shape: [data.length],
  sizes: [data.length],
  dtype: 'i32',
  data,
})

/** The tensors of every module, as its method names them. */
const modulesOf = ({
  method,
  selection = new Map(),
  base,
  focus,
  frozen = new Map(),
  whole = [],
}: TrainedParts): ReadonlyMap<string, Tensors> => {
  const own = new Map([...byModule(focus)].filter(([path]) => !whole.includes(path)))
  if (method === 'full') return new Map([...own].map(([path, values]) => [path, { values }]))
  if (method !== 'paca' && method !== 'shira') {
    return grouped(moduleTensors(method), new Map<string, FirstValue>([...frozen, ...leaves(focus, isFloats)]))
  }
  const before = byModule(base)
  const index = method === 'paca' ? 'columns' : 'entries'
  return new Map(
    [...own].map(([path, values]) => [
      path,
      { [index]: indices(selection.get(path)!), values, base: before.get(path)! },
    ]),
  )
}

/**
 * The adapter that a run has trained, as it is saved.
 * @example adapterOf(origin, { method: 'paca', rank: 8, selection: session.selection, base, focus: (await session.read()).focus })
 */
export const adapterOf = (origin: AdapterOrigin, trained: TrainedParts): Adapter => {
  const { method, rank, settings, focus, frozen, whole = [] } = trained
  const parts = byModule(focus)
  const shared = (name: string) => frozen?.get(name)
  const saved = {
    ...origin,
    ...settings,
    method,
    modules: modulesOf(trained),
    ...(rank === undefined || method === 'full' ? {} : { rank }),
    ...(whole.length > 0 ? { whole: new Map(whole.map(path => [path, parts.get(path)!])) } : {}),
    ...(method === 'vera' ? { shared: { vera_A: shared('vera_A'), vera_B: shared('vera_B') } } : {}),
  }
  // the tensors are those that the method's tree has; saving checks them all
  return saved as unknown as Adapter
}

/** What an adapter keeps of a run beside what is trained: A of LoRA-FA, the projections of VeRA. */
const keptFrozen: readonly string[] = ['lora_A', 'vera_A', 'vera_B']

/**
 * The same model, which remembers the first values of frozen leaves that an adapter keeps, as soon as a session has
 * made them.
 */
export const remembering = <T extends Pick<Reparametrised<unknown, unknown, unknown>, 'params' | 'mask' | 'additions'>>(
  tuned: T,
): { readonly tuned: T; readonly frozen: ReadonlyMap<string, FirstValue> } => {
  const frozen = new Map<string, FirstValue>()
  const kept = maskedLeaves(tuned.params, tuned.mask).filter(
    ({ path, mask }) => mask.mask === 'frozen' && keptFrozen.includes(leafName(path)),
  )
  const paths = new Map(kept.map(({ path, leaf }) => [leaf, path]))
  const remembered =
    <G>(leavesOf: Addition['leaves'], make: (given: G) => readonly FirstValue[]) =>
    (given: G): readonly FirstValue[] => {
      const values = make(given)
      leavesOf.forEach((leaf, i) => {
        const path = paths.get(leaf)
        if (path !== undefined) frozen.set(path, values[i]!)
      })
      return values
    }
  const additions = tuned.additions.map((addition): Addition =>
    addition.of === undefined
      ? { leaves: addition.leaves, make: remembered(addition.leaves, addition.make) }
      : { of: addition.of, leaves: addition.leaves, make: remembered(addition.leaves, addition.make) },
  )
  return { tuned: { ...tuned, additions }, frozen }
}

/** The columns that an adapter trains, or its entries, by module path; of other methods none. */
export const selectionOf = (adapter: Adapter): ReadonlyMap<string, Int32Array> => {
  switch (adapter.method) {
    case 'paca':
      return new Map([...adapter.modules].map(([path, { columns }]) => [path, columns.data]))
    case 'shira':
      return new Map([...adapter.modules].map(([path, { entries }]) => [path, entries.data]))
    default:
      return new Map()
  }
}

type FloatLeaf = LazyLeaf<Shape, 'f32'>
const isLazy = (leaf: unknown): leaf is FloatLeaf =>
  isFloats(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf)
const readLeaf = async (leaf: FloatLeaf): Promise<Value<Shape>> => ('read' in leaf ? leaf.read() : leaf)

/**
 * The weights themselves, if they have every leaf that an adapter changes: a head that the base ties is none of them.
 */
const complete = <W>(weights: W, uses: readonly WeightedAdapter[]): W => {
  const paths = new Set(leaves(weights, isLazy).map(([path]) => path))
  const missing = uses
    .flatMap(({ adapter: { modules, whole } }) => [...modules.keys(), ...(whole?.keys() ?? [])])
    .find(path => !paths.has(path))
  if (missing !== undefined)
    throw new Error(`the weights have no ${missing}, which an adapter changes: loadedFor opens the model for it`)
  return weights
}

/** The weights with some leaves changed when they are read. */
const withChanges = <W>(
  weights: W,
  uses: readonly WeightedAdapter[],
  change: (path: string, leaf: Value<Shape>) => Value<Shape>,
): W =>
  // the structure stays, and each leaf becomes what reads it
  mapTree(complete(weights, uses), isLazy, (leaf, path) =>
    changes(uses, path) ? { read: async () => change(path, await readLeaf(leaf)) } : leaf,
  ) as W

/**
 * The weights of a base with adapters written into them, each with its weight, still read leaf by leaf. That they
 * belong to the base is checked before (`checkBase`).
 * @example compile(step, { weights: withAdapters(weights, [{ adapter }, { adapter: other, weight: 0.5 }]) })
 */
export const withAdapters = <W>(weights: W, uses: readonly WeightedAdapter[]): W =>
  withChanges(weights, uses, (path, leaf) => mergedWeight(uses, path, leaf))

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
 * The weights, of which each is refused when it is read if a precision of 16 bits would hold a number of it as an
 * infinity.
 * @example compile(step, { weights: inRange(weights, 'f16'), precision: 'f16' })
 */
export const inRange = <W>(weights: W, precision: Precision = 'f32'): W => {
  if (precision === 'f32') return weights
  const checked = async (path: string, leaf: FloatLeaf): Promise<Value<Shape>> => {
    const value = await readLeaf(leaf)
    checkRange(`weight ${path}`, precision, value.sizes, value.data)
    return value
  }
  // the structure stays, and each leaf becomes what reads it
  return mapTree(weights, isLazy, (leaf, path) => ({ read: () => checked(path, leaf) })) as W
}

/** How many numbers a row has; of a vector one. */
const rowLength = ({ sizes }: Value<Shape>): number => sizes.slice(1).reduce((a, b) => a * b, 1)
/** Rows of a matrix, or numbers of a vector, by what they belong to. */
const rowsOf = (index: Int32Array, value: Value<Shape>): ReadonlyMap<number, Float32Array> => {
  const length = rowLength(value)
  const { data } = value
  return new Map([...index].map((at, i) => [at, data.subarray(i * length, (i + 1) * length)]))
}
const stacked = (like: Value<Shape>, index: Int32Array, rows: ReadonlyMap<number, Float32Array>): Value<Shape> => {
  const length = rowLength(like)
  const data = new Float32Array(index.length * length)
  const sizes = [index.length, ...like.sizes.slice(1)]
  index.forEach((at, i) => data.set(rows.get(at)!, i * length))
  return { shape: sizes, sizes, dtype: 'f32', data }
}

type Selected = MethodTensors['paca'] | MethodTensors['shira']
const indexOf = (module: Selected): Int32Array => ('columns' in module ? module.columns : module.entries).data

/** What was trained before and now of a module: the later values, and the base as it was before the first of both. */
const joinedModule = <M extends Selected>(old: M, now: M): M => {
  const [before, after] = [indexOf(old), indexOf(now)]
  const index = Int32Array.from(new Set([...before, ...after])).sort()
  const values = new Map([...rowsOf(before, old.values), ...rowsOf(after, now.values)])
  const base = new Map([...rowsOf(after, now.base), ...rowsOf(before, old.base)])
  const name = 'columns' in old ? 'columns' : 'entries'
  return {
    ...now,
    [name]: indices(index),
    values: stacked(now.values, index, values),
    base: stacked(now.base, index, base),
  }
}

/**
 * The adapter of a run that went on from another, in terms of the first base: of columns or entries that either has
 * trained, what they are now and what they were at first. Of other methods the new adapter says it all.
 * @example saveAdapter(out, continuing(old, adapterOf(origin, trained)))
 */
export const continuing = (old: Adapter, now: Adapter): Adapter => {
  if (old.method === 'shira' && now.method === 'shira') {
    return {
      ...now,
      modules: new Map(
        [...now.modules].map(([path, module]) => [path, joinedModule(old.modules.get(path) ?? module, module)]),
      ),
    }
  }
  if (old.method !== 'paca' || now.method !== 'paca') return now
  const modules = new Map(
    [...now.modules].map(([path, module]) => [path, joinedModule(old.modules.get(path) ?? module, module)]),
  )
  const others = [...modules].filter(([, { columns }]) => columns.data.length !== now.rank)
  const rankPattern = Object.fromEntries(
    others.map(([path, { columns }]) => [path.replaceAll('.', '\\.'), columns.data.length]),
  )
  return { ...now, modules, ...(others.length > 0 ? { rankPattern } : {}) }
}

import {
  formOfModule,
  indexIn,
  type Adapter,
  type AdapterOrigin,
  type AdapterSettings,
  type AnyAdapter,
} from '../io/index.ts'
import type { Shape, Value } from '../tensor/index.ts'
import {
  isFloats,
  leafName,
  leaves,
  moduleOf,
  maskedLeaves,
  methodNames,
  recordOf,
  type Addition,
  type FirstValue,
  type KeptTensor,
  type MethodName,
  type Reparametrised,
  type Tensors,
} from '../tune/index.ts'

/** The results of a session, and further facts of a run that belong in its adapter. */
export interface TrainedParts {
  readonly method: MethodName
  /** The requested rank; full fine-tuning has none. */
  readonly rank?: number
  readonly settings?: AdapterSettings
  /** The columns of PaCA or the entries of SHiRA: a session's `selection`. */
  readonly selection?: ReadonlyMap<string, Int32Array>
  /** The focus before the first step: the base's own columns or entries. */
  readonly base?: unknown
  readonly focus: unknown
  /** Leaves that the method adds and does not train, by path; `remembering` finds them. */
  readonly frozen?: ReadonlyMap<string, FirstValue>
  /** Leaves that were trained whole in addition to the method's modules. */
  readonly whole?: readonly string[]
  /** The buffers of the model that training has changed, by path. */
  readonly buffers?: ReadonlyMap<string, Value<Shape>>
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')))

export const indices = (data: Int32Array): Value<Shape, 'i32'> => ({
  shape: [data.length],
  sizes: [data.length],
  dtype: 'i32',
  data,
})

/** A tensor that a method stores, by the path of its leaf. */
const leavesBelow = (path: string, name: string, found: ReadonlyMap<string, FirstValue>): FirstValue | undefined =>
  // the trained part of a module's own leaf replaces it, or is below it if the base is quantized
  found.get(`${path}.${name}`) ?? (name === 'values' ? found.get(path) : undefined)

/** The tensors of every module, under the names of its method. */
const modulesOf = ({
  method,
  selection = new Map(),
  base,
  focus,
  frozen = new Map(),
  whole = [],
}: TrainedParts): ReadonlyMap<string, Tensors> => {
  const kept = recordOf(method).tensors.flatMap(form => Object.entries(form))
  const names = kept.flatMap(([name, { from }]) => (from === 'trained' ? [name] : []))
  const now = new Map<string, FirstValue>(leaves(focus, isFloats))
  const before = new Map<string, FirstValue>(leaves(base, isFloats))
  const inPlace = names.includes('values')
  /** The path of the leaf that a trained leaf belongs to. */
  const adaptedBy = (path: string): readonly string[] =>
    whole.some(other => moduleOf(other) === moduleOf(path))
      ? []
      : names.includes(leafName(path))
        ? [parent(path)]
        : inPlace
          ? [path]
          : []
  const tensorOf = (path: string, name: string, { from }: KeptTensor): FirstValue | undefined => {
    switch (from) {
      case 'trained':
        return leavesBelow(path, name, now)
      case 'before':
        return leavesBelow(path, 'values', before)
      case 'frozen':
        return leavesBelow(path, name, frozen)
      case 'index':
        return selection.has(moduleOf(path)) ? indices(selection.get(moduleOf(path))!) : undefined
    }
  }
  // a module has one of several forms
  const moduleAt = (path: string): Tensors =>
    Object.fromEntries(
      kept.flatMap(([name, tensor]) => {
        const found = tensorOf(path, name, tensor)
        return found === undefined ? [] : [[name, found]]
      }),
    )
  return new Map([...now.keys()].flatMap(adaptedBy).map(path => [moduleOf(path), moduleAt(path)]))
}

/** The values of leaves that are trained whole, by the path of their module; they are named by either. */
const wholeOf = <V>(whole: readonly string[], parts: ReadonlyMap<string, V>): ReadonlyMap<string, V> => {
  const modules = new Map([...parts].map(([path, value]) => [moduleOf(path), value]))
  return new Map(whole.map(path => [moduleOf(path), modules.get(moduleOf(path))!]))
}

/**
 * The adapter that a run has trained, in the form in which it is saved.
 * @example adapterOf(origin, { method: 'paca', rank: 8, selection: session.selection, base, focus: (await session.read()).focus })
 */
export const adapterOf = (origin: AdapterOrigin, trained: TrainedParts): Adapter => {
  const { method, rank, settings, focus, frozen = new Map(), whole = [], buffers = new Map() } = trained
  const parts = new Map(leaves(focus, isFloats))
  const record = recordOf(method)
  const shared = Object.keys(record.shared).map(name => [name, frozen.get(name)] as const)
  const saved = {
    ...origin,
    ...settings,
    method,
    modules: modulesOf(trained),
    ...(rank === undefined || record.rank === undefined ? {} : { rank }),
    ...(whole.length > 0 ? { whole: wholeOf(whole, parts) } : {}),
    ...(shared.length > 0 ? { shared: Object.fromEntries(shared) } : {}),
    ...(buffers.size > 0 ? { buffers } : {}),
  }
  // the tensors are those in the method's tree; saving checks them all
  return saved as unknown as Adapter
}

/**
 * Tests whether the base's own numbers go into an adapter of the method, in which case a run reads its focus before the
 * first step.
 */
export const keepsBase = (method: MethodName): boolean =>
  recordOf(method).tensors.some(form => Object.values(form).some(({ from }) => from === 'before'))

/** The names of frozen leaves that an adapter keeps: A of LoRA-FA, the projections of VeRA. */
const keptNames = (method: string): ReadonlySet<string> => {
  const name = methodNames.find(known => known === method)
  if (name === undefined) return new Set()
  const { tensors, shared } = recordOf(name)
  return new Set(
    [...tensors, shared].flatMap(form =>
      Object.entries(form).flatMap(([key, { from }]) => (from === 'frozen' ? [key] : [])),
    ),
  )
}

/**
 * The same model, which remembers the first values of the frozen leaves that an adapter keeps, once a session has made
 * them.
 */
export const remembering = <
  T extends Pick<Reparametrised<unknown, unknown, unknown>, 'params' | 'mask' | 'additions'> & {
    readonly method: string
  },
>(
  tuned: T,
): { readonly tuned: T; readonly frozen: ReadonlyMap<string, FirstValue> } => {
  const frozen = new Map<string, FirstValue>()
  const names = keptNames(tuned.method)
  const kept = maskedLeaves(tuned.params, tuned.mask).filter(
    ({ path, mask }) => mask.mask === 'frozen' && names.has(leafName(path)),
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

/** The selection of a module, with the name of its tensor, for a method that has one. */
export const chosenIn = (
  method: MethodName,
  module: Tensors,
): { readonly name: string; readonly data: Int32Array } | undefined => {
  const index = indexIn(formOfModule(method, module))
  const chosen = index && module[index.name]
  return index && chosen?.dtype === 'i32' ? { name: index.name, data: chosen.data } : undefined
}

/** The columns or entries that an adapter trains, by module path; empty for other methods. */
export const selectionOf = ({ method, modules }: AnyAdapter): ReadonlyMap<string, Int32Array> =>
  new Map(
    [...modules].flatMap(([path, module]) => {
      const chosen = chosenIn(method, module)
      return chosen ? [[path, chosen.data] as const] : []
    }),
  )

import * as E from 'fp-ts/lib/Either.js'
import { alphaOf, moduleTensors, rankOf, type AdapterSettings, type Adapter } from '../io/index.ts'
import { fail, type IoError } from '../host/index.ts'
import type { FirstValue, MethodName } from '../tune/index.ts'
import { checkOptions, settingsFrom, settingsOf, type MethodChoice, type MethodOptions } from './method.ts'
import { selectionOf } from '../train/index.ts'
import type { Beginning, Targets } from './tune.ts'

/** A run that goes on from an adapter: its method and settings, its modules, what it begins with. */
export interface Continued {
  readonly options: MethodOptions
  readonly targets: Targets
  readonly beginning: Beginning
  /** What of the adapter is written into the weights before they are adapted. */
  readonly written: Adapter | undefined
}

/** What an option says that an adapter says too, in the words of the command line. */
interface OptionConflict {
  readonly flag: string
  readonly name: string
  readonly asked: unknown
  readonly has: unknown
}

const conflictingOptions = (
  adapter: Adapter,
  { method, rank, targetModules, ...choice }: MethodChoice,
): readonly OptionConflict[] => {
  const asked = settingsOf({ ...choice, seed: 0 })
  const of = (flag: string, name: string, key: keyof AdapterSettings): OptionConflict => ({
    flag,
    name,
    asked: asked[key],
    has: adapter[key],
  })
  return [
    { flag: '--method', name: 'method', asked: method, has: adapter.method },
    { flag: '--rank', name: 'rank', asked: rank, has: adapter.method === 'full' ? undefined : adapter.rank },
    { flag: '--target-modules', name: 'target modules', asked: targetModules, has: adapter.targetModules },
    of('--alpha', 'alpha', 'alpha'),
    of('--rslora', 'rslora', 'rslora'),
    of('--quantize', 'quantization', 'quantize'),
    of('--exclude-modules', 'excluded modules', 'excludeModules'),
    of('--layers', 'layers', 'layersToTransform'),
    of('--rank-pattern', 'rank pattern', 'rankPattern'),
    of('--alpha-pattern', 'alpha pattern', 'alphaPattern'),
    of('--modules-to-save', 'modules to save', 'modulesToSave'),
  ]
}

const words = (value: unknown): string =>
  value === undefined
    ? 'none'
    : typeof value === 'string'
      ? value
      : Array.isArray(value)
        ? value.join(',')
        : JSON.stringify(value)

/** Methods that keep what they train in the weights themselves. */
const selected: readonly MethodName[] = ['paca', 'shira', 'full']

/**
 * The values of leaves that a method adds to the tree, by path; of a quantized base also the columns or entries, which
 * stand beside it.
 */
const firstValues = (adapter: Adapter, quantized: boolean): ReadonlyMap<string, FirstValue> => {
  const { method, modules } = adapter
  const inWeights = selected.includes(method)
  const names = !inWeights ? moduleTensors(method) : quantized && method !== 'full' ? ['values'] : []
  const own = [...modules].flatMap(([path, module]) => {
    const tensors: Readonly<Record<string, FirstValue>> = { ...module }
    return names.map(name => [`${path}.${name}`, tensors[name]!] as const)
  })
  return new Map([...own, ...(adapter.method === 'vera' ? Object.entries(adapter.shared) : [])])
}

/** What is written into the weights: all that a method keeps in them, and leaves that were trained whole. */
const writtenOf = (adapter: Adapter, keepsParts: boolean): Adapter | undefined => {
  if (selected.includes(adapter.method) && !keepsParts) return adapter
  // only leaves that were trained whole are left
  return adapter.whole && adapter.whole.size > 0 ? { ...adapter, modules: new Map() } : undefined
}

/**
 * How a run goes on from an adapter: method, rank, alpha and targets are the adapter's; what is given beside it must
 * agree. A selection that is asked for anew takes the place of the adapter's, whose columns stay in the weights.
 * Errors: an option that says something else than the adapter, or that the method does not take; another selection on a
 * quantized base.
 * @example continuedFrom(adapter, 'my-adapter', { seed: 0 })
 */
export const continuedFrom = (
  adapter: Adapter,
  directory: string,
  choice: MethodChoice,
): E.Either<IoError, Continued> => {
  const other = conflictingOptions(adapter, choice).find(
    ({ asked, has }) => asked !== undefined && JSON.stringify(asked) !== JSON.stringify(has),
  )
  if (other)
    return fail(
      `${directory}: it has ${other.name} ${words(other.has)}, not ${words(other.asked)}: leave ${other.flag} out, or say the same`,
    )
  const checked = checkOptions(adapter.method, choice)
  if (E.isLeft(checked)) return checked
  const anew = choice.select !== undefined || choice.columns !== undefined
  const quantized = adapter.quantize !== undefined
  if (anew && quantized)
    return fail(
      `${directory}: its base is quantized, and with another selection the columns that it has trained would be rounded`,
    )
  const { dropout, select, shareColumns } = choice
  const chosen = anew ? undefined : selectionOf(adapter)
  return E.right({
    options: {
      ...settingsFrom(adapter),
      method: adapter.method,
      targetModules: adapter.targetModules,
      seed: choice.seed,
      rank: adapter.method === 'full' ? 0 : adapter.rank,
      ...(dropout === undefined ? {} : { dropout }),
      ...(select === undefined ? {} : { select }),
      ...(shareColumns && anew ? { shareColumns } : {}),
    },
    targets: {
      modules: [...adapter.modules.keys()].map(path => ({
        path,
        rank: rankOf(adapter, path),
        alpha: alphaOf(adapter, path),
      })),
      whole: [...(adapter.whole?.keys() ?? [])],
    },
    beginning: { ...(chosen && chosen.size > 0 ? { chosen } : {}), values: firstValues(adapter, quantized) },
    written: writtenOf(adapter, quantized),
  })
}

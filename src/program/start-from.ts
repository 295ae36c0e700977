import * as E from 'fp-ts/lib/Either.js'
import { alphaOf, rankOf, withModules, type AnyAdapter, type AdapterSettings, type Adapter } from '../io/index.ts'
import { storedLeaf } from '../model/index.ts'
import { fail, type IoError } from '../text/index.ts'
import { recordOf, type FirstValue } from '../tune/index.ts'
import { checkOptions, settingsFrom, settingsOf, type MethodChoice, type MethodOptions } from './method.ts'
import { selectionOf } from '../train/finetune.ts'
import type { Beginning, Targets } from './tune.ts'

/** A run that continues from an adapter: its method and settings, its modules, its initial values. */
export interface Continued {
  readonly options: MethodOptions
  readonly targets: Targets
  readonly beginning: Beginning
  /** The part of the adapter that is written into the weights before they are adapted. */
  readonly written: Adapter | undefined
}

/** A conflict between an option and an adapter, in the words of the command line. */
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
    { flag: '--rank', name: 'rank', asked: rank, has: rankIn(adapter) },
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

const rankIn = ({ rank }: AnyAdapter): number | undefined => rank

/** Tests whether a method keeps its trained part in the weights themselves. */
const inWeights = ({ method }: Adapter): boolean => recordOf(method).change === 'values'
/** Tests whether the trained part of a module is separate from its packed weight: it is selected there. */
const keepsPart = ({ method, quantize }: Adapter, path: string): boolean =>
  quantize !== undefined &&
  storedLeaf(path).kind === 'linear' &&
  recordOf(method).tensors.some(form => Object.values(form).some(({ from }) => from === 'index'))

/**
 * The values of leaves that a method adds to the tree, by path; for a quantized base also the trained part of a weight,
 * which is separate there.
 */
const firstValues = (adapter: Adapter): ReadonlyMap<string, FirstValue> => {
  const { modules, shared = {} }: AnyAdapter = adapter
  const isBeside = (path: string, name: string): boolean =>
    !inWeights(adapter) || (name === 'values' && keepsPart(adapter, path))
  const own = [...modules].flatMap(([path, module]) =>
    Object.entries(module).flatMap(([name, value]) =>
      isBeside(path, name) ? [[`${path}.${name}`, value] as const] : [],
    ),
  )
  return new Map<string, FirstValue>([...own, ...Object.entries(shared)])
}

/**
 * The part that is written into the weights: everything that a method keeps in them, and leaves that were trained
 * whole.
 */
const writtenOf = (adapter: Adapter): Adapter | undefined => {
  const { modules }: AnyAdapter = adapter
  const written = inWeights(adapter) ? [...modules].filter(([path]) => !keepsPart(adapter, path)) : []
  if (written.length === modules.size) return adapter
  // and the leaves that were trained whole
  const { whole = new Map() } = adapter
  return written.length + whole.size > 0 ? withModules(adapter, new Map(written)) : undefined
}

/**
 * Sets up a run that continues from an adapter: method, rank, alpha and targets are the adapter's, and other options
 * must agree. A newly requested selection replaces the adapter's, whose columns stay in the weights. Errors: an option
 * that contradicts the adapter, or that the method does not take; another selection on a quantized base.
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
  const { modules }: AnyAdapter = adapter
  const restored = recordOf(adapter.method).again?.(modules as ReadonlyMap<string, never>) // its own modules
  const again = restored ? { again: restored } : {}
  return E.right({
    options: {
      ...settingsFrom(adapter),
      method: adapter.method,
      targetModules: adapter.targetModules,
      seed: choice.seed,
      rank: rankIn(adapter) ?? 0,
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
    beginning: { ...(chosen && chosen.size > 0 ? { chosen } : {}), values: firstValues(adapter), ...again },
    written: writtenOf(adapter),
  })
}

import * as E from 'fp-ts/lib/Either.js'
import type { Shape, Value } from '../../tensor/index.ts'
import type { StoredValue } from '../checkpoint/archive.ts'
import {
  patternMatcher,
  recordOf,
  type Form,
  type KeptIndex,
  type MethodName,
  type Methods,
  type SavedModule,
  type TargetRequest,
  type Tensors,
  type TensorsOf,
} from '../../tune/index.ts'

type Floats = Value<Shape>

/** The tensors that are saved of a module by method, in the layout of its tree (weights are [in, out]). */
export type MethodTensors = { readonly [M in MethodName]: TensorsOf<Methods[M]['tensors'][number]> }

/** What every adapter knows about how it was made. */
export interface AdapterOrigin {
  /** Modules as they were asked for: names, or one expression. */
  readonly targetModules: TargetRequest['targetModules']
  /** Absent where another program made it, as is the hash of the base. */
  readonly seed?: number
  /** Training settings, as plain JSON; kept, not interpreted. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly baseModelName: string
  /** `hashOf` of the base. */
  readonly baseModelHash?: string
  readonly versions: Readonly<Record<string, string>>
}

/** Hyperparameters besides the rank; what is absent has its neutral value. */
export interface AdapterSettings extends Omit<TargetRequest, 'targetModules' | 'rank'> {
  /** Whether the scale is alpha / √rank instead of alpha / rank. */
  readonly rslora?: boolean
  /** Of the input of A, while training. */
  readonly dropout?: number
  /** How the base was quantized while the adapter was trained. */
  readonly quantize?: { readonly scheme: 'nf4'; readonly double: boolean }
  /** How the columns of PaCA were selected. */
  readonly select?: 'random' | 'weight' | 'gradient'
  /** Whether modules with one input share one selection. */
  readonly shareColumns?: boolean
  /** What VeRA's d began with. */
  readonly initial?: number
  /**
   * Whether head and embedding are trained apart where the base ties them, as PEFT does unless told to
   * `ensure_weight_tying`.
   */
  readonly untied?: boolean
}

/**
 * An adapter, by module path (`model.layers.0.self_attn.q_proj`: the parameter's name without `.weight`), as pure data.
 * Modules may have different ranks: a module's own is in its tensors.
 */
export type Adapter<M extends MethodName = MethodName> = M extends MethodName
  ? AdapterCommon & {
      readonly method: M
      readonly modules: ReadonlyMap<string, MethodTensors[M]>
    } & (Methods[M]['rank'] extends undefined ? unknown : { readonly rank: number }) &
      (keyof Methods[M]['shared'] extends never ? unknown : { readonly shared: TensorsOf<Methods[M]['shared']> })
  : never

interface AdapterCommon extends AdapterOrigin, AdapterSettings {
  /** Whole leaves that were trained beside (`modulesToSave`), by path. */
  readonly whole?: ReadonlyMap<string, Floats>
  /** Weights of the base that the file repeats, [out, in], as it stores them; the base must have the same. */
  readonly repeated?: ReadonlyMap<string, StoredValue>
}

/** An adapter as code reads it that is for every method. */
export interface AnyAdapter extends AdapterCommon {
  readonly method: MethodName
  readonly modules: ReadonlyMap<string, Tensors>
  readonly rank?: number
  readonly shared?: Readonly<Record<string, Floats>>
}
/**
 * The same adapter with other modules.
 * @example withModules(adapter, new Map())
 */
export const withModules = <A extends Adapter>(adapter: A, modules: ReadonlyMap<string, Tensors>): A =>
  // the modules are those of the method: `checkAdapter` finds out
  ({ ...adapter, modules }) as unknown as A

/** The form of a module that has tensors of these sizes: the first that has its names, if none fits better. */
export const formOf = (method: MethodName, sizes: (name: string) => readonly number[] | undefined): Form => {
  const { tensors: forms } = recordOf(method)
  const named = forms.filter(form => Object.keys(form).every(name => sizes(name) !== undefined))
  const fits = (form: Form): boolean =>
    Object.entries(form).every(([name, tensor]) => sizes(name)?.length === tensor.sizes.length)
  return named.find(fits) ?? named[0] ?? forms[0]
}
/** The form of a module. */
export const formOfModule = (method: MethodName, module: Tensors): Form => formOf(method, name => module[name]?.sizes)

/** The sizes that the words of a form stand for in a module. */
const sizeOfWord = (form: Form, module: Tensors, word: string): number | undefined => {
  for (const [name, { sizes }] of Object.entries(form)) {
    const at = sizes.indexOf(word)
    if (at >= 0) return module[name]?.sizes[at]
  }
  return undefined
}

/** The index of a form, and the name of its tensor: of a module that is trained at a selection. */
export const indexIn = (form: Form): { readonly name: string; readonly among: KeptIndex['among'] } | undefined => {
  const found = Object.entries(form).find(([, tensor]) => tensor.from === 'index')
  return found?.[1].from === 'index' ? { name: found[0], among: found[1].among } : undefined
}

/** The rank of a module: how many columns, or how narrow its factors are. 0 for a method that has none. */
export const rankOf = (adapter: Adapter, path: string): number => {
  const { method, modules, rank = 0, rankPattern }: AnyAdapter = adapter
  if (recordOf(method).rank === undefined) return 0
  const module = modules.get(path)
  const own = module && sizeOfWord(formOfModule(method, module), module, 'r')
  return own ?? patterned('rank_pattern', rankPattern, path) ?? rank
}

const patterned = (field: string, pattern: TargetRequest['rankPattern'], path: string): number | undefined => {
  const matcher = patternMatcher(field, pattern)
  return E.isRight(matcher) ? matcher.right(path) : undefined // patterns were checked when the adapter was made or read
}

/** The alpha of a module: that of the first pattern that matches, else the adapter's, else the module's rank. */
export const alphaOf = (adapter: Adapter, path: string): number =>
  patterned('alpha_pattern', adapter.alphaPattern, path) ?? adapter.alpha ?? rankOf(adapter, path)

/**
 * What the low-rank product of a module is scaled by: α / r, with rsLoRA α / √r.
 * @example scaleOf(adapter, 'model.layers.0.self_attn.q_proj')
 */
export const scaleOf = (adapter: Adapter, path: string): number => {
  const rank = rankOf(adapter, path)
  return rank === 0 ? 1 : alphaOf(adapter, path) / (adapter.rslora === true ? Math.sqrt(rank) : rank)
}

/** A module as its method reads it. `inputs` is the number of inputs that its weight has. */
export const savedModule = (adapter: Adapter, path: string, inputs: number): SavedModule<never, never> => {
  const { modules, shared = {} }: AnyAdapter = adapter
  // each method reads its own modules, which `checkAdapter` has seen to have its tensors
  return { tensors: modules.get(path)! as never, shared: shared as never, scale: scaleOf(adapter, path), inputs }
}

/** An adapter, and how much of it. */
export interface WeightedAdapter {
  readonly adapter: Adapter
  readonly weight?: number
}

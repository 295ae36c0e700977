import * as E from 'fp-ts/lib/Either.js'
import type { Shape, Value } from '../../tensor/index.ts'
import type { StoredValue } from '../checkpoint/archive.ts'
import {
  recordOf,
  type Form,
  type KeptIndex,
  type MethodName,
  type Methods,
  type SavedModule,
  type Tensors,
  type TensorsOf,
} from '../../tune/index.ts'
import { patternMatcher, type TargetRequest } from '../../tune/modules/modules.ts'

type Floats = Value<Shape>

/** The saved tensors of a module for each method, in the layout of its tree (weights are [..., in, out]). */
export type MethodTensors = { readonly [M in MethodName]: TensorsOf<Methods[M]['tensors'][number]> }

/** The origin of an adapter, which every method records. */
export interface AdapterOrigin {
  /** The requested modules: names, or one expression. */
  readonly targetModules: TargetRequest['targetModules']
  /** The seed; absent if another program made the adapter, as is the hash of the base. */
  readonly seed?: number
  /** Training settings as plain JSON; they are kept, not interpreted. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly baseModelName: string
  /** The result of `hashOf` for the base. */
  readonly baseModelHash?: string
  readonly versions: Readonly<Record<string, string>>
}

/** Hyperparameters in addition to the rank; an absent one has its neutral value. */
export interface AdapterSettings extends Omit<TargetRequest, 'targetModules' | 'rank'> {
  /** True if the scale is alpha / √rank instead of alpha / rank. */
  readonly rslora?: boolean
  /** The dropout of the input of A during training. */
  readonly dropout?: number
  /** The quantization of the base during training. */
  readonly quantize?: { readonly scheme: 'nf4'; readonly double: boolean }
  /** The rule by which the columns of PaCA were selected. */
  readonly select?: 'random' | 'weight' | 'gradient'
  /** True if modules with the same input share a selection. */
  readonly shareColumns?: boolean
  /** The initial value of VeRA's d. */
  readonly initial?: number
  /**
   * True if head and embedding are trained separately although the base ties them, as in PEFT without
   * `ensure_weight_tying`.
   */
  readonly untied?: boolean
  /** The classes of a head that was made for them. */
  readonly labels?: readonly string[]
}

/**
 * An adapter, by module path (`model.layers.0.self_attn.q_proj`: the parameter's name without `.weight`), as pure data.
 * Modules may have different ranks, which their tensors show.
 */
export type Adapter<M extends MethodName = MethodName> = M extends MethodName
  ? AdapterCommon & {
      readonly method: M
      readonly modules: ReadonlyMap<string, MethodTensors[M]>
    } & (Methods[M]['rank'] extends undefined ? unknown : { readonly rank: number }) &
      (keyof Methods[M]['shared'] extends never ? unknown : { readonly shared: TensorsOf<Methods[M]['shared']> })
  : never

interface AdapterCommon extends AdapterOrigin, AdapterSettings {
  /** Other leaves that were trained whole (`modulesToSave`), by path. */
  readonly whole?: ReadonlyMap<string, Floats>
  /** Buffers of the model that training has changed, by path: the running statistics of its norms. */
  readonly buffers?: ReadonlyMap<string, Floats>
  /** Weights of the base that the file repeats, [out, in], in their stored form; those of the base must be equal. */
  readonly repeated?: ReadonlyMap<string, StoredValue>
}

/** An adapter, as code for every method sees it. */
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
  // `checkAdapter` tests that the modules are those of the method
  ({ ...adapter, modules }) as unknown as A

/** The form of a module with tensors of these sizes; the first form with its names if none fits better. */
export const formOf = (method: MethodName, sizes: (name: string) => readonly number[] | undefined): Form => {
  const { tensors: forms } = recordOf(method)
  const named = forms.filter(form => Object.keys(form).every(name => sizes(name) !== undefined))
  const fits = (form: Form): boolean =>
    Object.entries(form).every(([name, tensor]) => sizes(name)?.length === tensor.sizes.length)
  return named.find(fits) ?? named[0] ?? forms[0]
}
/** The form of a module. */
export const formOfModule = (method: MethodName, module: Tensors): Form => formOf(method, name => module[name]?.sizes)

/** The size that a word of a form stands for in a module. */
const sizeOfWord = (form: Form, module: Tensors, word: string): number | undefined => {
  for (const [name, { sizes }] of Object.entries(form)) {
    const at = sizes.indexOf(word)
    if (at >= 0) return module[name]?.sizes[at]
  }
  return undefined
}

/** The index of a module that is trained at a selection. */
interface FoundIndex {
  /** The name of its tensor. */
  readonly name: string
  readonly among: KeptIndex['among']
  /** The axis of the trained numbers that it runs along. */
  readonly axis: number
}

/** The index of a form, for a module that is trained at a selection. */
export const indexIn = (form: Form): FoundIndex | undefined => {
  for (const [name, tensor] of Object.entries(form)) {
    if (tensor.from !== 'index') continue
    const axis = Object.values(form)
      .find(({ from }) => from === 'trained')
      ?.sizes.indexOf(tensor.sizes[0])
    return { name, among: tensor.among, axis: axis ?? 0 }
  }
  return undefined
}

/** The rank of a module: its number of columns, or the width of its factors; 0 for a method without ranks. */
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

/** The alpha of a module: that of the first matching pattern, else the adapter's, else the module's rank. */
export const alphaOf = (adapter: Adapter, path: string): number =>
  patterned('alpha_pattern', adapter.alphaPattern, path) ?? adapter.alpha ?? rankOf(adapter, path)

/**
 * The scale of a module's low-rank product: α / r, or α / √r with rsLoRA.
 * @example scaleOf(adapter, 'model.layers.0.self_attn.q_proj')
 */
export const scaleOf = (adapter: Adapter, path: string): number => {
  const rank = rankOf(adapter, path)
  return rank === 0 ? 1 : alphaOf(adapter, path) / (adapter.rslora === true ? Math.sqrt(rank) : rank)
}

/** A module as its method reads it. `inputs` is the number of inputs of its weight. */
export const savedModule = (adapter: Adapter, path: string, inputs: number): SavedModule<never, never> => {
  const { modules, shared = {} }: AnyAdapter = adapter
  // each method reads its own modules, whose tensors `checkAdapter` has tested
  return { tensors: modules.get(path)! as never, shared: shared as never, scale: scaleOf(adapter, path), inputs }
}

/** An adapter and its weight. */
export interface WeightedAdapter {
  readonly adapter: Adapter
  readonly weight?: number
}

import * as E from 'fp-ts/lib/Either.js'
import type { Shape, Value } from '../../tensor/index.ts'
import type { StoredValue } from '../checkpoint/archive.ts'
import { patternMatcher, type MethodName, type TargetRequest } from '../../tune/index.ts'

type Floats = Value<Shape>
type Integers = Value<Shape, 'i32'>

/** What PaCA trained of one module. A column of the [out, in] weight is one row here, so all arrays are [rank, out]. */
export interface PacaModule {
  /** [rank] input features, each once. */
  readonly columns: Integers
  /** [rank, out] the trained columns. */
  readonly values: Floats
  /** [rank, out] the base's own columns: writing them back restores the base bit for bit. */
  readonly base: Floats
}

/**
 * What SHiRA trained of one module: entries, counted along the flattened [in, out] weight, and what the base has there.
 */
export interface ShiraModule {
  readonly entries: Integers
  readonly values: Floats
  readonly base: Floats
}

/** The factors of LoRA: A [in, r] and B [r, out]. */
export interface LoraModule {
  readonly lora_A: Floats
  readonly lora_B: Floats
}

/**
 * What is saved of a module by method: the trained leaves of the tuned tree under their names there, in its layout
 * (weights are [in, out]).
 */
export interface MethodTensors {
  readonly paca: PacaModule
  readonly shira: ShiraModule
  /** The whole weight; of a norm [hidden]. The base is no part of it: that is the base model itself. */
  readonly full: { readonly values: Floats }
  readonly lora: LoraModule
  readonly lorafa: LoraModule
  /** m [out], one magnitude for every output. */
  readonly dora: LoraModule & { readonly lora_magnitude_vector: Floats }
  /** M [r, r], between A and B. */
  readonly moslora: LoraModule & { readonly lora_mixer: Floats }
  /** d [r] and b [out]. */
  readonly vera: { readonly vera_lambda_d: Floats; readonly vera_lambda_b: Floats }
  /** [r, out]: input i of the module belongs to its row i mod r. */
  readonly miss: { readonly miss_block: Floats }
}

/** The projections of VeRA that all modules share: A [largest in, r] and B [r, largest out]. */
export interface VeraProjections {
  readonly vera_A: Floats
  readonly vera_B: Floats
}

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
  ? AdapterOrigin &
      AdapterSettings & {
        readonly method: M
        readonly modules: ReadonlyMap<string, MethodTensors[M]>
        /** Whole leaves that were trained beside (`modulesToSave`), by path. */
        readonly whole?: ReadonlyMap<string, Floats>
        /** Weights of the base that the file repeats, [out, in], as it stores them; the base must have the same. */
        readonly repeated?: ReadonlyMap<string, StoredValue>
      } & (M extends 'full' ? unknown : { readonly rank: number }) &
      (M extends 'vera' ? { readonly shared: VeraProjections } : unknown)
  : never

/** Tensors of a module by name, whatever the method. */
export type Tensors = Readonly<Record<string, Floats | Integers>>
export const tensorsOfModule = (module: MethodTensors[MethodName]): Tensors => ({ ...module })

/** The rank of a module: how many columns, or how narrow its factors are. Of `full` it is 0. */
export const rankOf = (adapter: Adapter, path: string): number => {
  switch (adapter.method) {
    case 'full':
      return 0
    case 'paca':
      return adapter.modules.get(path)?.columns.sizes[0] ?? adapter.rank
    case 'miss':
      return adapter.modules.get(path)?.miss_block.sizes[0] ?? adapter.rank
    case 'vera':
      return adapter.modules.get(path)?.vera_lambda_d.sizes[0] ?? adapter.rank
    case 'shira':
      return patterned('rank_pattern', adapter.rankPattern, path) ?? adapter.rank
    default:
      return adapter.modules.get(path)?.lora_B.sizes[0] ?? adapter.rank
  }
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
  return alphaOf(adapter, path) / (adapter.rslora === true ? Math.sqrt(rank) : rank)
}

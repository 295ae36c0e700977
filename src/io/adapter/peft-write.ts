import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { writeAtomically, attempt, attemptSync, orThrow, refusal, type IoError } from '../../host/index.ts'
import { isTransposed, parameterName } from '../checkpoint/load.ts'
import { leafOf } from '../safetensors/write.ts'
import { patternMatcher, targetMatcher } from '../../tune/index.ts'
import { rankOf, tensorsOfModule, type Adapter } from './adapter.ts'
import { adapterFiles } from './directory.ts'
import { isHead, storedLeaf, tieOf } from '../../model/index.ts'
import { fitHead } from './head.ts'
import { checkAdapter } from './layout.ts'
import { loraOf, patternKey, type WidthOf } from './lora-form.ts'
import { peftNames, peftPrefix, peftShared } from './peft-read.ts'

/** An adapter as PEFT keeps it: the content of adapter_config.json, and the tensors under PEFT's names, [out, in]. */
export interface PeftAdapter {
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: ReadonlyMap<string, Value<Shape>>
}

/** What must be known of a base beside the widths of its modules. */
export interface PeftBase {
  /** Whether its head is tied to the embedding. */
  readonly tied?: boolean
}

type Native = Adapter<'lora'> | Adapter<'dora'> | Adapter<'vera'> | Adapter<'miss'>

/**
 * An adapter that was trained with head and embedding tied, as PEFT keeps it. It saves the weight in both places; only
 * LoRA can be told that they are one (`ensure_weight_tying`), of the others both are trained.
 */
const tiedInPeft = (adapter: Native): Native => {
  const fitted = fitHead('the adapter', adapter, 'parted') as Native // the method stays
  if (adapter.method === 'lora' || adapter.method === 'dora') return fitted
  const heads = [...fitted.whole!.keys()].flatMap(path => tieOf(path)?.head ?? [])
  return { ...fitted, modulesToSave: [...(fitted.modulesToSave ?? [...adapter.whole!.keys()]), ...new Set(heads)] }
}

/** True if an adapter trains the embedding whole. */
const isEmbeddingSaved = ({ whole }: Adapter): boolean =>
  [...(whole?.keys() ?? [])].some(path => storedLeaf(path).kind === 'embedding')

const turned = ({ sizes, data }: Value<Shape>): Value<Shape> => {
  const [rows = 0, columns = 0] = sizes
  return valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))
}

/** The fields that all types have. Targets that are not found again by their own words are named one by one. */
const targetsOf = (adapter: Native): Readonly<Record<string, unknown>> => {
  const matcher = targetMatcher(adapter, isHead)
  const paths = [...adapter.modules.keys()]
  const found = E.isRight(matcher) && paths.every(matcher.right)
  const {
    targetModules,
    excludeModules = null,
    layersToTransform = null,
    layersPattern = null,
    modulesToSave,
  } = adapter
  return {
    ...(found
      ? {
          target_modules: targetModules,
          exclude_modules: excludeModules,
          layers_to_transform: layersToTransform,
          layers_pattern: layersPattern,
        }
      : { target_modules: paths, exclude_modules: null, layers_to_transform: null, layers_pattern: null }),
    modules_to_save: adapter.whole === undefined ? null : (modulesToSave ?? [...adapter.whole.keys()]),
    base_model_name_or_path: adapter.baseModelName === '' ? null : adapter.baseModelName,
    task_type: 'CAUSAL_LM',
    inference_mode: true,
  }
}

/** α of each module: where none is given it is the module's rank, which PEFT does not say by leaving it out. */
const alphas = (adapter: Adapter<'lora'> | Adapter<'dora'>): Readonly<Record<string, unknown>> => {
  const { alpha, alphaPattern = {}, rank, modules } = adapter
  const matcher = patternMatcher('alpha_pattern', alphaPattern)
  const unsaid = (path: string): boolean =>
    rankOf(adapter, path) !== rank && E.isRight(matcher) && matcher.right(path) === undefined
  const own =
    alpha !== undefined ? [] : [...modules.keys()].filter(unsaid).map(path => [patternKey(path), rankOf(adapter, path)])
  return { lora_alpha: alpha ?? rank, alpha_pattern: { ...alphaPattern, ...Object.fromEntries(own) } }
}

const oneRank = (adapter: Adapter<'vera'> | Adapter<'miss'>): number => {
  if ([...adapter.modules.keys()].some(path => rankOf(adapter, path) !== adapter.rank)) {
    throw refusal(`PEFT's ${adapter.method} has one rank for all modules: export it as LoRA or merged`)
  }
  return adapter.rank
}

/** The bias setting under PEFT's own name of the type. */
const biasOf = ({ bias = 'none' }: Native, own: string): string => (bias === 'lora_only' ? own : bias)

const configOf = (adapter: Native, ensureTied: boolean): Readonly<Record<string, unknown>> => {
  const targets = targetsOf(adapter)
  switch (adapter.method) {
    case 'lora':
    case 'dora':
      return {
        peft_type: 'LORA',
        ...targets,
        r: adapter.rank,
        ...alphas(adapter),
        rank_pattern: adapter.rankPattern ?? {},
        lora_dropout: adapter.dropout ?? 0,
        use_rslora: adapter.rslora ?? false,
        use_dora: adapter.method === 'dora',
        bias: biasOf(adapter, 'lora_only'),
        fan_in_fan_out: false,
        init_lora_weights: true,
        lora_bias: false,
        ensure_weight_tying: ensureTied,
      }
    case 'vera': {
      const { exclude_modules: excluded, ...own } = targets
      if (excluded !== null) throw refusal("PEFT's VeRA has no exclude_modules: export it as LoRA or merged")
      return {
        peft_type: 'VERA',
        ...own,
        r: oneRank(adapter),
        d_initial: adapter.initial ?? 0.1,
        projection_prng_key: adapter.seed ?? 0,
        save_projection: true,
        vera_dropout: 0,
        bias: biasOf(adapter, 'vera_only'),
        fan_in_fan_out: false,
        init_weights: true,
      }
    }
    case 'miss':
      return {
        peft_type: 'MISS',
        ...targets,
        r: oneRank(adapter),
        mini_r: 1,
        miss_dropout: 0,
        bias: biasOf(adapter, 'MiSS_only'),
        init_weights: true,
      }
  }
}

const tensorsOf = (adapter: Native): ReadonlyMap<string, Value<Shape>> => {
  const names = new Map(peftNames[adapter.method].map(([ending, name]) => [name, ending]))
  const own = [...adapter.modules].flatMap(([path, module]) =>
    Object.entries(tensorsOfModule(module)).flatMap(([name, value]) => {
      const ending = names.get(name)
      return ending === undefined || value.dtype !== 'f32'
        ? []
        : [[`${peftPrefix}${path}.${ending}`, name === 'lora_A' || name === 'lora_B' ? turned(value) : value] as const]
    }),
  )
  const projections = adapter.method === 'vera' ? Object.entries(adapter.shared) : []
  const shared = projections.map(
    ([name, value]: readonly [string, Value<Shape>]) => [`${peftShared}${name}`, turned(value)] as const,
  )
  const whole = [...(adapter.whole ?? [])].map(
    ([path, value]) =>
      [
        `${peftPrefix}${parameterName(path)}`,
        value.sizes.length === 2 && isTransposed(path) ? turned(value) : value,
      ] as const,
  )
  return new Map([...own, ...shared, ...whole])
}

/** What PEFT has a type for stays what it is; the rest leaves as a LoRA. */
const nativeOf = (adapter: Adapter, widthOf: WidthOf): E.Either<IoError, Native> => {
  switch (adapter.method) {
    case 'lora':
    case 'dora':
    case 'vera':
    case 'miss':
      return E.right(adapter)
    default:
      return loraOf(adapter, widthOf)
  }
}

/**
 * An adapter as PEFT keeps it: LoRA and LoRA-FA, rsLoRA, DoRA, VeRA and MiSS under their own types, PaCA and MosLoRA
 * exactly as a LoRA. `widthOf` says how many inputs a module has, `tied` that the base ties its head. Errors: a method
 * that PEFT's files cannot hold.
 * @example peftOf(adapter, inputWidths(checkpoint))
 */
export const peftOf = (
  adapter: Adapter,
  widthOf: WidthOf,
  { tied = false }: PeftBase = {},
): E.Either<IoError, PeftAdapter> =>
  attemptSync('the adapter', () => {
    const native = nativeOf(adapter, widthOf)
    if (E.isLeft(native)) throw refusal(native.left.message)
    checkAdapter('the adapter', native.right)
    const one = tied && adapter.untied !== true && isEmbeddingSaved(adapter)
    const written = one ? tiedInPeft(native.right) : native.right
    return { config: configOf(written, one), tensors: tensorsOf(written) }
  })

/**
 * Writes an adapter as a directory of PEFT, whole or not at all. Errors: those of `peftOf`, a destination that is not
 * empty.
 * @example await savePeft('out', adapter, inputWidths(checkpoint), { tied: checkpoint.config.tie_word_embeddings })()
 */
export const savePeft = (
  directory: string,
  adapter: Adapter,
  widthOf: WidthOf,
  base: PeftBase = {},
): TE.TaskEither<IoError, void> =>
  attempt(directory, async () => {
    const peft = peftOf(adapter, widthOf, base)
    if (E.isLeft(peft)) throw refusal(`${directory}: ${peft.left.message}`)
    const leaves = [...peft.right.tensors].map(([name, value]) => leafOf(name, value))
    await orThrow(writeAtomically(directory, adapterFiles(peft.right.config, leaves, 'pt')))
  })

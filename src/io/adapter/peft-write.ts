import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Shape, Value } from '../../tensor/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { writeAtomically } from '../../host/index.ts'
import { attempt, attemptSync, orThrow, refusal, type IoError } from '../../text/index.ts'
import { layoutOf } from '../checkpoint/load.ts'
import { leafOf } from '../safetensors/write.ts'
import { recordOf, type FirstValue, type PeftField, type PeftForm } from '../../tune/index.ts'
import { patternMatcher, targetMatcher } from '../../tune/modules/modules.ts'
import { formOfModule, rankOf, type Adapter, type AnyAdapter } from './adapter.ts'
import { adapterFiles } from './directory.ts'
import { architectureOf, isHead, storedLeaf, toStorage, tieOf } from '../../model/index.ts'
import { fitHead } from './head.ts'
import { checkAdapter } from './layout.ts'
import { loraOf, patternKey, type WidthOf } from './lora-form.ts'
import { modelCard } from './model-card.ts'
import { counter, normsOf, type PeftBase } from './peft-base.ts'
import { peftForm } from './peft-config.ts'
import { isConvolved, peftPrefix, peftShared, toPeft } from './peft-layout.ts'

/** An adapter in PEFT's form: the content of adapter_config.json, and the tensors under PEFT's names, [out, in]. */
export interface PeftAdapter {
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: ReadonlyMap<string, FirstValue>
  /** The README.md in the same folder. */
  readonly card: string
}

/** An adapter whose method PEFT has, with its form there. */
interface Native {
  readonly adapter: Adapter
  readonly form: PeftForm
}

/**
 * An adapter that was trained with head and embedding tied, in PEFT's form. PEFT saves the weight in both places; only
 * types with `ensure_weight_tying` keep them tied, the others train both.
 */
const tiedInPeft = ({ adapter, form }: Native): Adapter => {
  const fitted = fitHead('the adapter', adapter, 'parted')
  if (Object.values(form.fields).some(field => 'holds' in field && field.holds === 'tied')) return fitted
  const heads = [...fitted.whole!.keys()].flatMap(path => tieOf(path)?.head ?? [])
  return { ...fitted, modulesToSave: [...(fitted.modulesToSave ?? [...adapter.whole!.keys()]), ...new Set(heads)] }
}

/** Tests whether an adapter trains the embedding whole. */
const isEmbeddingSaved = ({ whole }: Adapter): boolean =>
  [...(whole?.keys() ?? [])].some(path => storedLeaf(path).kind === 'embedding')

/** The fields of all types. Targets that their own words would not select again are named one by one. */
const targetsOf = (adapter: Adapter): Readonly<Record<string, unknown>> => {
  const matcher = targetMatcher(adapter, isHead)
  const paths = [...adapter.modules.keys()]
  // words may also match convolutions that the adapter leaves alone, and all linear modules are fewer there
  const found = E.isRight(matcher) && paths.every(path => matcher.right(path) && !isConvolved(layoutOf(path)))
  const {
    targetModules,
    excludeModules = null,
    layersToTransform = null,
    layersPattern = null,
    modulesToSave,
    bias = 'none',
    whole = new Map<string, Value<Shape>>(),
  } = adapter
  // biases in addition to a method have a setting of their own
  const isBeside = (path: string): boolean => bias !== 'none' && storedLeaf(path).kind === 'bias'
  const saved = whole.size === 0 ? [] : (modulesToSave ?? [...whole.keys()].filter(path => !isBeside(path)))
  const named = [...saved, ...normsOf(adapter)]
  return {
    ...(found
      ? {
          target_modules: targetModules,
          exclude_modules: excludeModules,
          layers_to_transform: layersToTransform,
          layers_pattern: layersPattern,
        }
      : { target_modules: paths, exclude_modules: null, layers_to_transform: null, layers_pattern: null }),
    modules_to_save: named.length === 0 ? null : named,
    base_model_name_or_path: adapter.baseModelName === '' ? null : adapter.baseModelName,
    task_type: architectureOf(paths[0] ?? '').peftTask ?? null,
    inference_mode: true,
  }
}

/** The α of each module whose α is its rank by default, which leaving it out would not express in PEFT. */
const ownAlphas = (adapter: Adapter): Readonly<Record<string, number>> => {
  const { alpha, alphaPattern = {}, rank, modules }: AnyAdapter = adapter
  const matcher = patternMatcher('alpha_pattern', alphaPattern)
  const unsaid = (path: string): boolean =>
    rankOf(adapter, path) !== rank && E.isRight(matcher) && matcher.right(path) === undefined
  return alpha === undefined
    ? Object.fromEntries([...modules.keys()].filter(unsaid).map(path => [patternKey(path), rankOf(adapter, path)]))
    : {}
}

/** The other formats in which the adapter can be exported. */
const elsewhere = ({ method }: Adapter): string =>
  'factors' in recordOf(method).lora ? 'export it as LoRA or merged' : 'export it merged'

const checkOneRank = (adapter: Adapter, { oneRank }: PeftForm): void => {
  const { method, rank, modules }: AnyAdapter = adapter
  if (oneRank && [...modules.keys()].some(path => rankOf(adapter, path) !== rank))
    throw refusal(`PEFT's ${method} has one rank for all modules: ${elsewhere(adapter)}`)
}

/** The value of a field of an adapter's own type; `undefined` for a field that is not written. */
const fieldOf = (adapter: Adapter, field: PeftField, ensureTied: boolean): unknown => {
  if ('is' in field) return field.is
  if ('only' in field) return field.only
  if ('leave' in field) return field.write?.(adapter.modules)
  if (!('holds' in field)) return field.write
  const { rank, seed, bias, alpha, alphaPattern, ...settings }: AnyAdapter = adapter
  switch (field.holds) {
    case 'rank':
      return rank
    case 'seed':
      return seed ?? field.unset
    case 'tied':
      return ensureTied
    case 'alpha':
      return alpha ?? rank
    case 'alphaPattern':
      return { ...alphaPattern, ...ownAlphas(adapter) }
    case 'bias':
      return bias === 'lora_only' ? field.own : (bias ?? field.unset)
    default:
      return settings[field.holds] ?? field.unset
  }
}

const configOf = ({ adapter, form }: Native, ensureTied: boolean): Readonly<Record<string, unknown>> => {
  checkOneRank(adapter, form)
  const { lacks = [] } = form
  const holdsBias = Object.values(form.fields).some(field => 'holds' in field && field.holds === 'bias')
  if ((adapter.bias ?? 'none') !== 'none' && !holdsBias)
    throw refusal(`PEFT's ${recordOf(adapter.method).title} has no bias: ${elsewhere(adapter)}`)
  const targets = Object.entries(targetsOf(adapter)).filter(([name, value]) => {
    if (lacks.includes(name) && value !== null)
      throw refusal(`PEFT's ${recordOf(adapter.method).title} has no ${name}: ${elsewhere(adapter)}`)
    return !lacks.includes(name)
  })
  const own = Object.entries(form.fields)
    .map(([name, field]) => [name, fieldOf(adapter, field, ensureTied)] as const)
    .filter(([, value]) => value !== undefined)
  return { peft_type: form.type, ...Object.fromEntries([...targets, ...own]) }
}

const tensorsOf = (
  { adapter, form }: Native,
  norms: ReadonlyMap<string, Value<Shape>>,
): ReadonlyMap<string, FirstValue> => {
  const none = new Map<string, Value<Shape>>()
  const { method, modules, shared = {}, whole = none, buffers = none }: AnyAdapter = adapter
  const convolution = [...modules.keys()].find(path => isConvolved(layoutOf(path)))
  if (convolution !== undefined && !form.convolutions)
    throw refusal(
      `PEFT's ${recordOf(method).title} has no convolutions, and ${convolution} is one there: ${elsewhere(adapter)}`,
    )
  const own = [...modules].flatMap(([path, module]) => {
    const kept = formOfModule(method, module)
    return Object.entries(module).flatMap(([name, value]) => {
      const tensor = form.tensors[name]
      return tensor === undefined || value.dtype !== 'f32'
        ? []
        : [[`${peftPrefix}${path}.${tensor[0]}`, toPeft(value, kept[name]!.sizes, tensor, layoutOf(path))] as const]
    })
  })
  const ofAll = Object.entries(form.shared ?? {}).map(
    ([name, tensor]) =>
      [
        `${peftShared}${tensor[0]}`,
        toPeft(shared[name]!, recordOf(method).shared[name]!.sizes, tensor, 'linear'),
      ] as const,
  )
  // PEFT puts the module itself below its adapter
  const nameOf = (path: string): string => {
    const module = path.replace(/\.bias$/, '')
    return module !== path && modules.has(module)
      ? `${module}.base_layer.bias`
      : module === path
        ? `${path}.weight`
        : path
  }
  const unknown = normsOf(adapter).find(path => !whole.has(path) && !norms.has(path))
  if (unknown !== undefined)
    throw refusal(`PEFT saves norms whole, and the weight of ${unknown} is not given: take that of the base`)
  const besides = [...norms, ...whole].map(([path, value]) => {
    const { sizes, data } = toStorage(layoutOf(path), value)
    return [`${peftPrefix}${nameOf(path)}`, valueOf('f32', sizes, data)] as const
  })
  const statistics = [...buffers].map(([path, value]) => [`${peftPrefix}${storedLeaf(path).name}`, value] as const)
  const counters = normsOf(adapter).map(
    path =>
      [`${peftPrefix}${path}.${counter}`, { shape: [], sizes: [], dtype: 'i32', data: Int32Array.of(0) }] as const,
  )
  return new Map<string, FirstValue>([...own, ...ofAll, ...besides, ...statistics, ...counters])
}

/** The adapter itself if PEFT has its method; any other becomes a LoRA. */
const nativeOf = (adapter: Adapter, widthOf: WidthOf): E.Either<IoError, Native> => {
  const form = peftForm(adapter.method)
  return form
    ? E.right({ adapter, form })
    : E.map((lora: Adapter): Native => ({ adapter: lora, form: peftForm(lora.method)! }))(loraOf(adapter, widthOf))
}

/**
 * An adapter in PEFT's form: LoRA and LoRA-FA, rsLoRA, DoRA, VeRA and MiSS under their own types, PaCA and MosLoRA
 * exactly as a LoRA. `widthOf` gives the number of a module's inputs; `base` has what PEFT needs to know of it (`peftBaseOf`). Errors:
 * a method that PEFT's files cannot express.
 * @example peftOf(adapter, inputWidths(checkpoint))
 */
export const peftOf = (
  adapter: Adapter,
  widthOf: WidthOf,
  { tied = false, norms = new Map() }: PeftBase = {},
): E.Either<IoError, PeftAdapter> =>
  attemptSync('the adapter', () => {
    const native = nativeOf(adapter, widthOf)
    if (E.isLeft(native)) throw refusal(native.left.message)
    checkAdapter('the adapter', native.right.adapter)
    const one = tied && adapter.untied !== true && isEmbeddingSaved(adapter)
    const written = one ? { ...native.right, adapter: tiedInPeft(native.right) } : native.right
    return {
      config: configOf(written, one),
      tensors: tensorsOf(written, norms),
      card: modelCard(adapter, written.adapter),
    }
  })

/**
 * Writes an adapter as a directory of PEFT with a model card, whole or not at all. Errors: those of `peftOf`, a
 * destination that is not empty.
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
    const files = { ...adapterFiles(peft.right.config, leaves, 'pt'), 'README.md': peft.right.card }
    await orThrow(writeAtomically(directory, files))
  })

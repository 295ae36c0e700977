import * as E from 'fp-ts/lib/Either.js'
import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import { elementCount, showSizes, toF32, valueOf, type Archive, type StoredValue } from '../checkpoint/archive.ts'
import { refusal, quoted } from '../../host/index.ts'
import { isTransposed } from '../checkpoint/load.ts'
import { savedMatcher, targetMatcher } from '../../tune/index.ts'
import type { Adapter, Tensors } from './adapter.ts'
import { isHead, tieOf } from '../../model/index.ts'
import { checkAdapter } from './layout.ts'
import { parsePeftConfig, type PeftConfig } from './peft-config.ts'

type Floats = Value<Shape>
type Tensor = Tensors[string]

/** What PEFT puts before the path of a module, whose own model is a layer of it. */
export const peftPrefix = 'base_model.model.'
/** Where PEFT keeps VeRA's projections. */
export const peftShared = 'base_model.'

/** How a tensor of a type ends, and the name that it has here; matrices are turned, since PyTorch keeps [out, in]. */
export const peftNames: { readonly [M in PeftConfig['method']]: readonly (readonly [ending: string, name: string])[] } =
  {
    lora: [
      ['lora_A.weight', 'lora_A'],
      ['lora_B.weight', 'lora_B'],
    ],
    dora: [
      ['lora_A.weight', 'lora_A'],
      ['lora_B.weight', 'lora_B'],
      ['lora_magnitude_vector', 'lora_magnitude_vector'],
    ],
    vera: [
      ['vera_lambda_d', 'vera_lambda_d'],
      ['vera_lambda_b', 'vera_lambda_b'],
    ],
    miss: [['miss_block', 'miss_block']],
  }

const endings = Object.values(peftNames).flat()

/**
 * A tensor's place: the module it belongs to, and its name there; the weight of a whole module has none, and one of the
 * base is `base_layer`.
 */
interface Place {
  readonly path: string
  readonly name: string | undefined
}
const repeats = 'base_layer'

const placeOf = (subject: string, method: PeftConfig['method'], key: string): Place => {
  const wrong = () =>
    refusal(`${subject}: tensor ${key} belongs to no adapter of the type that adapter_config.json names`)
  if (!key.startsWith(peftPrefix)) throw wrong()
  // before 0.10 the magnitudes were a module of their own
  const rest = key.slice(peftPrefix.length).replace(/\.lora_magnitude_vector\.weight$/, '.lora_magnitude_vector')
  const found = peftNames[method].find(([ending]) => rest.endsWith(`.${ending}`))
  if (found !== undefined) return { path: rest.slice(0, -found[0].length - 1), name: found[1] }
  if (/\.lora_embedding_[AB]$/.test(rest)) {
    throw refusal(
      `${subject}: tensor ${key} is a LoRA of an embedding, which is not supported: embeddings are trained whole (modules_to_save)`,
    )
  }
  // PEFT saves the base's own beside what adapts it
  const repeated = /^(.*)\.base_layer\.weight$/.exec(rest)?.[1]
  if (repeated !== undefined && tieOf(repeated) !== undefined) return { path: repeated, name: repeats }
  const whole = /^(.*?)(?:\.modules_to_save(?:\.default)?)?\.weight$/.exec(rest)
  if (whole === null || endings.some(([ending]) => rest.endsWith(`.${ending}`)) || /\.base_layer\b/.test(rest))
    throw wrong()
  return { path: whole[1]!, name: undefined }
}

const turned = ({ sizes, data }: Floats): Floats => {
  const [rows = 0, columns = 0] = sizes
  return valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))
}

const read = async (archive: Archive, key: string): Promise<Tensor> => {
  const entry = archive.tensors.get(key)
  if (entry === undefined) throw refusal(`${archive.path}: tensor ${key} is missing`)
  const value = await entry.read()
  return value.dtype === 'i32' ? value : valueOf('f32', value.sizes, toF32(`${archive.path}: tensor ${key}`, value))
}

const floats = async (archive: Archive, key: string): Promise<Floats> => {
  const value = await read(archive, key)
  if (value.dtype !== 'f32')
    throw refusal(`${archive.path}: tensor ${key} holds integers, where floating-point numbers are due`)
  return value
}

/** Rejects an `IoError` for a module that `target_modules` does not name: PEFT would leave it out without a word. */
const checkTargets = (file: string, { origin, settings }: PeftConfig, paths: Iterable<string>): void => {
  const targets = targetMatcher({ ...settings, targetModules: origin.targetModules }, isHead)
  if (E.isLeft(targets)) throw refusal(`${file}: ${targets.left.message}`)
  // 'all-linear' says nothing about a head that has tensors all the same
  for (const path of paths)
    if (!targets.right(path)) throw refusal(`${file}: target_modules does not name ${path}, of which there are tensors`)
}

/** Rejects an `IoError` for a module that `modules_to_save` names and the file lacks. */
const checkSaved = (
  file: string,
  { settings: { modulesToSave = [] } }: PeftConfig,
  whole: ReadonlyMap<string, Floats>,
): void => {
  const missing = modulesToSave.find(name => ![...whole.keys()].some(savedMatcher({ modulesToSave: [name] })))
  if (missing !== undefined)
    throw refusal(`${file}: modules_to_save names ${quoted(missing)}, of which there are no tensors`)
}

/**
 * Whether a tied base is parted: PEFT gives each module that it adapts or saves a weight of its own. A whole weight
 * that nobody named goes into both.
 */
const trainedApart = (
  settings: PeftConfig['settings'],
  modules: readonly string[],
  whole: readonly string[],
): true | undefined => {
  const named = savedMatcher(settings)
  return [...modules, ...whole.filter(named)].some(path => tieOf(path) !== undefined) ? true : undefined
}

/** Reads an adapter that PEFT wrote. Rejects with an `IoError` that names the file, and the field or tensor. */
export const readPeft = async (
  archive: Archive,
  file: string,
  json: Readonly<Record<string, unknown>>,
): Promise<Adapter> => {
  const lastWord = (key: string): readonly string[] => {
    const found = endings.find(([ending]) => key.endsWith(`.${ending}`))
    return found === undefined
      ? []
      : [
          key
            .slice(0, -found[0].length - 1)
            .split('.')
            .at(-1)!,
        ]
  }
  const config = parsePeftConfig(file, json, [...new Set([...archive.tensors.keys()].flatMap(lastWord))])
  const { method, rank, origin, settings } = config
  const parts = new Map<string, Tensors>()
  const whole = new Map<string, Floats>()
  const repeated = new Map<string, StoredValue>()
  const shared: Record<string, Floats> = {}
  for (const key of [...archive.tensors.keys()].sort()) {
    if (method === 'vera' && (key === `${peftShared}vera_A` || key === `${peftShared}vera_B`)) {
      shared[key.slice(peftShared.length)] = turned(await floats(archive, key))
      continue
    }
    const { path, name } = placeOf(archive.path, method, key)
    if (name === repeats) repeated.set(path, await archive.tensors.get(key)!.read())
    else if (name === undefined) {
      const value = await floats(archive, key)
      whole.set(path, value.sizes.length === 2 && isTransposed(path) ? turned(value) : value)
    } else {
      const value = await read(archive, key)
      // MiSS keeps its block as it is here, [r, out]
      parts.set(path, {
        ...parts.get(path),
        [name]: name.endsWith('_A') || name.endsWith('_B') ? turnedMatrix(archive.path, key, value) : value,
      })
    }
  }
  checkTargets(file, config, parts.keys())
  checkSaved(file, config, whole)
  const untied = config.ensureTied ? undefined : trainedApart(settings, [...parts.keys()], [...whole.keys()])
  // that the tensors are those of the method is what `checkAdapter` finds out
  const adapter = {
    ...origin,
    ...settings,
    method,
    rank,
    modules: parts,
    ...(whole.size > 0 ? { whole } : {}),
    ...(method === 'vera' ? { shared } : {}),
    ...(repeated.size > 0 ? { repeated } : {}),
    ...(untied === undefined ? {} : { untied }),
  } as unknown as Adapter
  checkAdapter(archive.path, adapter)
  return adapter
}

const turnedMatrix = (subject: string, key: string, value: Tensor): Floats => {
  if (value.dtype !== 'f32' || value.sizes.length !== 2 || elementCount(value.sizes) === undefined) {
    throw refusal(
      `${subject}: tensor ${key} is ${value.dtype.toUpperCase()} ${showSizes(value.sizes)}, where a matrix of numbers is due`,
    )
  }
  return turned(value)
}

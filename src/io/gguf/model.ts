/**
 * Reads a model from a GGUF file: its architecture translates llama.cpp's names, keys and row order to Hugging Face's.
 * Source: github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py and gguf-py/gguf/constants.py.
 */
import * as E from 'fp-ts/lib/Either.js'
import {
  elementCount,
  toF32,
  type Archive,
  type Entry,
  type MetadataValue,
  type StoredValue,
} from '../checkpoint/archive.ts'
import { attempt, orThrow, refusal, shown } from '../../text/index.ts'
import {
  architectureNamed,
  parameterSizes,
  type CheckpointConfig,
  type GgufNames,
  type LanguageArchitecture,
  type ModelDescription,
} from '../../model/index.ts'

/** An architecture with its names in GGUF files. */
type Known = LanguageArchitecture & { readonly gguf: GgufNames<CheckpointConfig> }

/** The path of the leaf for a llama.cpp tensor, or undefined. @example leafNamed(known, 'blk.0.attn_q.weight') */
export const leafNamed = ({ gguf, layers }: Known, name: string): string | undefined => {
  const [, block, part = '', ending] = /^(?:blk\.(\d+)\.)?([a-z_]+)\.(weight|bias)$/.exec(name) ?? []
  const names = block === undefined ? gguf.outer : gguf.blocks
  if (!Object.hasOwn(names, part)) return undefined
  const path = block === undefined ? names[part]! : `${layers}.${block}.${names[part]!}`
  return ending === 'bias' ? `${path}.bias` : path
}

/** The metadata key for a field. */
const keyOf = ({ gguf: { keys }, name }: Known, field: string): string => {
  if (field === 'rope_scaling') return `${name}.rope.scaling`
  return Object.hasOwn(keys, field) ? keys[field]!.replace('*', name) : field
}

/** The one value of a key: llama.cpp allows one value per layer, and it is accepted if all layers agree. */
const uniform = (value: MetadataValue | undefined): MetadataValue | undefined => {
  if (typeof value !== 'object' || value.length === 0) return value
  const items: readonly MetadataValue[] = Array.from<MetadataValue>(value)
  return items.every(item => item === items[0]) ? items[0] : value
}

/** The rope scaling in the metadata; a factor without a type means linear, as in llama.cpp. */
const scalingOf = (name: string, metadata: Archive['metadata']): Readonly<Record<string, unknown>> => {
  const factor = metadata.get(`${name}.rope.scaling.factor`) ?? metadata.get(`${name}.rope.scale_linear`) ?? 1
  const type = metadata.get(`${name}.rope.scaling.type`) ?? 'linear'
  return type === 'none' || (type === 'linear' && (factor === 1 || factor === 0)) ? {} : { rope_type: type, factor }
}

/** The tensor of a leaf. */
const tensorOf = (known: Known, { tensors }: Archive, path: string): Entry | undefined =>
  [...tensors].find(([name]) => leafNamed(known, name) === path)?.[1]

const vocabularySize = (known: Known, archive: Archive): MetadataValue | undefined => {
  const { metadata } = archive
  const tokens = metadata.get('tokenizer.ggml.tokens')
  return (
    tensorOf(known, archive, known.embedding)?.sizes[0] ??
    metadata.get(`${known.name}.vocab_size`) ??
    (Array.isArray(tokens) ? tokens.length : undefined)
  )
}

/** Keys of the architecture that are read here or change nothing; any other must be off. */
const otherKeys: readonly string[] = [
  'vocab_size',
  'rope.dimension_count',
  'rope.scaling.type',
  'rope.scaling.factor',
  'rope.scale_linear',
  'rope.scaling.original_context_length',
  'rope.scaling.finetuned',
  'attention.value_length',
  'expert_count',
  'tensor_data_layout',
]

/** Refuses keys that would change the computation of the architecture in a way that is not supported here. */
const checkKeys = (known: Known, { path, metadata }: Archive, headDim: number): void => {
  const own = (key: string): string => `${known.name}.${key}`
  const keys = new Set<string>([
    ...Object.keys(known.gguf.keys).map(field => keyOf(known, field)),
    ...otherKeys.map(own),
  ])
  for (const [key, value] of metadata) {
    const isOff =
      value === false ||
      value === 0 ||
      value === '' ||
      (key === own('rope.scaling.attn_factor') && value === 1) ||
      (key === own('attention.causal') && value === true)
    if (key.startsWith(own('')) && !keys.has(key) && !isOff)
      throw refusal(`${path}: ${key} is ${shown(value)}, and that key is not supported`)
  }
  const type = metadata.get('general.type') ?? 'model'
  const values = uniform(metadata.get(own('attention.value_length'))) ?? headDim
  if (type !== 'model') throw refusal(`${path}: general.type is ${shown(type)}: expected "model"`)
  if (values !== headDim)
    throw refusal(
      `${path}: ${own('attention.value_length')} is ${shown(values)}: expected ${own('attention.key_length')} (${headDim})`,
    )
}

/** The architecture that a file names. */
const knownIn = ({ path, metadata }: Archive): Known => {
  const found = architectureNamed(metadata.get('general.architecture'), path, 'general.architecture')
  if (E.isLeft(found)) throw refusal(found.left.message)
  const { gguf } = found.right
  if (gguf === undefined) throw refusal(`${path}: ${found.right.name} in a GGUF file is not supported`)
  return { ...found.right, gguf }
}

/** llama.cpp's defaults for fields that a file lacks. */
const ggufDefaults = ({
  num_attention_heads: heads,
  hidden_size: hidden,
  ...fields
}: Readonly<Record<string, unknown>>) => ({
  num_key_value_heads: fields['num_key_value_heads'] ?? null,
  head_dim:
    fields['head_dim'] ??
    (typeof heads === 'number' && typeof hidden === 'number' && hidden % heads === 0 ? hidden / heads : undefined),
  rms_norm_eps: fields['rms_norm_eps'] ?? 'missing',
})

/** The architecture of the model in a GGUF file, and its config. Throws an `IoError` that names the metadata key. */
export const ggufModel = async (archive: Archive): Promise<ModelDescription<'text'>> => {
  const { path, metadata, tensors } = archive
  const parts = metadata.get('split.count')
  if (typeof parts === 'number' && parts > 1)
    throw refusal(`${path}: it is one of ${parts} parts of a split GGUF file; join them first`)
  const known = knownIn(archive)
  const { name } = known
  if ((metadata.get(`${name}.expert_count`) ?? 0) !== 0)
    throw refusal(`${path}: mixtures of experts (${name}.expert_count) are not supported`)
  const fields = Object.fromEntries(
    Object.keys(known.gguf.keys).map(field => [field, uniform(metadata.get(keyOf(known, field)))]),
  )
  const parsed = known.config(
    {
      ...fields,
      ...ggufDefaults(fields),
      architectures: [known.className],
      vocab_size: vocabularySize(known, archive),
      rope_scaling: scalingOf(name, metadata),
      tie_word_embeddings: tensorOf(known, archive, known.head) === undefined,
    },
    path,
    field => keyOf(known, field),
  )
  if (E.isLeft(parsed)) throw refusal(parsed.left.message)
  const config = parsed.right
  const rotary = metadata.get(`${name}.rope.dimension_count`) ?? config.head_dim
  if (rotary !== config.head_dim)
    throw refusal(`${path}: ${name}.rope.dimension_count is ${rotary}: expected head_dim (${config.head_dim})`)
  checkKeys(known, archive, config.head_dim)
  const biased = [...tensors.keys()].find(tensor => tensor.endsWith('.bias'))
  const leaves = parameterSizes(known.model(config))
  if (biased !== undefined && !leaves.some(([leaf]) => known.stored(leaf).kind === 'bias'))
    throw refusal(`${path}: tensor ${biased}: projections with a bias are not supported`)
  const { extra } = known.gguf
  const entry = extra && tensors.get(extra.tensor)
  if (extra === undefined || entry === undefined) return { task: 'text', architecture: known, config }
  if (elementCount(entry.sizes)! > extra.length(config))
    throw refusal(`${path}: tensor ${entry.name} holds more than ${extra.length(config)} numbers`)
  const more = extra.config(await orThrow(entry.readF32()), config)
  if (more === undefined) throw refusal(`${path}: tensor ${entry.name} ${extra.expected}`)
  return { task: 'text', architecture: known, config: more }
}

/**
 * Undoes llama.cpp's row order of q and k: within a head, row 2 j + half is Hugging Face's row half · headDim / 2 + j.
 * @example unpermuteRows(new Float32Array([0, 2, 1, 3]), 1, 4) // one head of four rows: [0, 1, 2, 3]
 */
export const unpermuteRows = <T extends Float32Array | Uint16Array | Int32Array>(
  data: T,
  heads: number,
  headDim: number,
): T => {
  const width = data.length / (heads * headDim)
  const out = data.slice()
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const to = head * headDim + (row % 2) * (headDim / 2) + (row >> 1)
      const from = head * headDim + row
      out.set(data.subarray(from * width, (from + 1) * width), to * width)
    }
  }
  return out as T // slice of a typed array is of the same kind
}

/**
 * The tensors under their Hugging Face names and in its row order. Throws an `IoError` for one that does not belong to
 * the architecture.
 */
export const ggufTensors = (
  archive: Archive,
  { architecture, config }: ModelDescription<'text'>,
): ReadonlyMap<string, Entry> => {
  const { gguf, name: own, stored } = architecture
  if (gguf === undefined) return archive.tensors
  return new Map(
    [...archive.tensors.values()].flatMap((entry): readonly [string, Entry][] => {
      const path = leafNamed({ ...architecture, gguf }, entry.name)
      if (path === undefined) {
        if (entry.name === gguf.extra?.tensor) return [] // read with the config
        throw refusal(`${archive.path}: tensor ${entry.name}: ${own} has no such tensor`)
      }
      const { name } = stored(path)
      const heads = gguf.reordered(path, config)
      if (heads === 0) return [[name, { ...entry, name }]]
      const read = async (): Promise<StoredValue> => unpermuted(await entry.read(), heads, config.head_dim)
      const subject = `${archive.path}: tensor ${entry.name}`
      return [
        [name, { ...entry, name, read, readF32: () => attempt(subject, async () => toF32(subject, await read())) }],
      ]
    }),
  )
}

const unpermuted = (value: StoredValue, heads: number, headDim: number): StoredValue => {
  switch (
    value.dtype // one case per dtype, so that data and dtype stay paired in the type
  ) {
    case 'f32':
      return { ...value, data: unpermuteRows(value.data, heads, headDim) }
    case 'f16':
    case 'bf16':
      return { ...value, data: unpermuteRows(value.data, heads, headDim) }
    case 'i32':
      return value
  }
}

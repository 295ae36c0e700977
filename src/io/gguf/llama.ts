/**
 * A LLaMA inside a GGUF file: llama.cpp's names, keys and row order translated to Hugging Face's.
 * Source: github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py (`LlamaModel`) and gguf-py/gguf/constants.py.
 */
import * as E from 'fp-ts/lib/Either.js'
import { toF32, type Archive, type Entry, type MetadataValue, type StoredValue } from '../checkpoint/archive.ts'
import { attempt, orThrow, refusal, shown } from '../../host/index.ts'
import { parseLlamaConfig, type CheckpointConfig, type RopeScaling } from '../../model/index.ts'

const blockNames: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
}
const outerNames: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
}

/** The Hugging Face name of a llama.cpp tensor, or undefined. @example huggingFaceName('blk.0.attn_q.weight') */
export const huggingFaceName = (name: string): string | undefined => {
  const [, block, part = ''] = /^(?:blk\.(\d+)\.)?([a-z_]+)\.weight$/.exec(name) ?? []
  const names = block === undefined ? outerNames : blockNames
  if (!Object.hasOwn(names, part)) return undefined
  const translated = names[part]
  return block === undefined ? `${translated}.weight` : `model.layers.${block}.${translated}.weight`
}

/** Where each config field comes from. */
const keys: Readonly<Record<string, string>> = {
  model_type: 'general.architecture',
  hidden_size: 'llama.embedding_length',
  intermediate_size: 'llama.feed_forward_length',
  num_hidden_layers: 'llama.block_count',
  num_attention_heads: 'llama.attention.head_count',
  num_key_value_heads: 'llama.attention.head_count_kv',
  head_dim: 'llama.attention.key_length',
  rms_norm_eps: 'llama.attention.layer_norm_rms_epsilon',
  rope_theta: 'llama.rope.freq_base',
  max_position_embeddings: 'llama.context_length',
  bos_token_id: 'tokenizer.ggml.bos_token_id',
  eos_token_id: 'tokenizer.ggml.eos_token_id',
}
const named = (field: string): string =>
  Object.hasOwn(keys, field) ? keys[field]! : field === 'rope_scaling' ? 'llama.rope.scaling' : field

/** llama.cpp allows one value per layer; we take it where all layers agree. */
const uniform = (value: MetadataValue | undefined): MetadataValue | undefined => {
  if (typeof value !== 'object' || value.length === 0) return value
  const items: readonly MetadataValue[] = Array.from<MetadataValue>(value)
  return items.every(item => item === items[0]) ? items[0] : value
}

/** The rope scaling that the keys name; llama.cpp takes a factor without a type as linear. */
const scalingOf = (metadata: Archive['metadata']): Readonly<Record<string, unknown>> => {
  const factor = metadata.get('llama.rope.scaling.factor') ?? metadata.get('llama.rope.scale_linear') ?? 1
  const type = metadata.get('llama.rope.scaling.type') ?? 'linear'
  return type === 'none' || (type === 'linear' && (factor === 1 || factor === 0)) ? {} : { rope_type: type, factor }
}

const vocabularySize = ({ metadata, tensors }: Archive): MetadataValue | undefined => {
  const tokens = metadata.get('tokenizer.ggml.tokens')
  return (
    tensors.get('token_embd.weight')?.sizes[0] ??
    metadata.get('llama.vocab_size') ??
    (Array.isArray(tokens) ? tokens.length : undefined)
  )
}

/**
 * What llama3 scaling divides each frequency by. Files of Llama 3.1 and later hold only these divisors
 * (`rope_freqs.weight`), not the numbers that they come from; wavelengths up to old/high stay, from old/low on are
 * divided by factor, between them the two are blended.
 */
export const llama3Divisors = (
  theta: number,
  headDim: number,
  s: Extract<RopeScaling, { rope_type: 'llama3' }>,
): readonly number[] =>
  Array.from({ length: headDim / 2 }, (_, i) => {
    const turns = s.original_max_position_embeddings / (2 * Math.PI * theta ** ((2 * i) / headDim))
    const smooth = Math.min(1, Math.max(0, (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)))
    return 1 / ((1 - smooth) / s.factor + smooth)
  })

const scalingOfDivisors = async (path: string, entry: Entry, config: CheckpointConfig): Promise<RopeScaling> => {
  if (entry.byteLength > 4 * config.head_dim)
    throw refusal(`${path}: tensor rope_freqs.weight holds more than head_dim / 2 numbers`)
  const divisors = await orThrow(entry.readF32())
  const factor = divisors.reduce((a, b) => Math.max(a, b), 1)
  // every published model with such divisors was trained at 8192 positions with the factors 1 and 4
  const scaling = {
    rope_type: 'llama3',
    factor,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  } as const
  const due = llama3Divisors(config.rope_theta, config.head_dim, scaling)
  if (divisors.length !== due.length || due.some((x, i) => !(Math.abs(x - divisors[i]!) <= 1e-3 * x))) {
    throw refusal(`${path}: tensor rope_freqs.weight is not the llama3 rope scaling, and no other is supported`)
  }
  return scaling
}

/** Keys of the architecture that are read here or change nothing; any other must say that it is off. */
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

/** Refuses what would change the maths of a LLaMA and is not computed here. */
const checkKeys = ({ path, metadata }: Archive, headDim: number): void => {
  const known = new Set<string>([...Object.values(keys), ...otherKeys.map(key => `llama.${key}`)])
  for (const [key, value] of metadata) {
    const isOff =
      value === false ||
      value === 0 ||
      value === '' ||
      (key === 'llama.rope.scaling.attn_factor' && value === 1) ||
      (key === 'llama.attention.causal' && value === true)
    if (key.startsWith('llama.') && !known.has(key) && !isOff)
      throw refusal(`${path}: ${key} is ${shown(value)}, and that key is not supported`)
  }
  const type = metadata.get('general.type') ?? 'model'
  const values = uniform(metadata.get('llama.attention.value_length')) ?? headDim
  if (type !== 'model') throw refusal(`${path}: general.type is ${shown(type)}, where "model" is due`)
  if (values !== headDim)
    throw refusal(
      `${path}: llama.attention.value_length is ${shown(values)}, where llama.attention.key_length (${headDim}) is due`,
    )
}

/** The config of a LLaMA in a GGUF file. Throws an `IoError` that names the metadata key. */
export const ggufConfig = async (archive: Archive): Promise<CheckpointConfig> => {
  const { path, metadata, tensors } = archive
  const parts = metadata.get('split.count')
  if (typeof parts === 'number' && parts > 1)
    throw refusal(`${path}: it is one of ${parts} parts of a split GGUF file; join them first`)
  if ((metadata.get('llama.expert_count') ?? 0) !== 0)
    throw refusal(`${path}: mixtures of experts (llama.expert_count) are not supported`)
  const biased = [...tensors.keys()].find(name => name.endsWith('.bias'))
  if (biased !== undefined) throw refusal(`${path}: tensor ${biased}: projections with a bias are not supported`)
  const fields = Object.fromEntries(Object.entries(keys).map(([field, key]) => [field, uniform(metadata.get(key))]))
  const parsed = parseLlamaConfig(
    {
      ...fields,
      architectures: ['LlamaForCausalLM'],
      vocab_size: vocabularySize(archive),
      rope_scaling: scalingOf(metadata),
      rms_norm_eps: fields['rms_norm_eps'] ?? 'missing',
      tie_word_embeddings: !tensors.has('output.weight'),
    },
    path,
    named,
  )
  if (E.isLeft(parsed)) throw refusal(parsed.left.message)
  const config = parsed.right
  const rotary = metadata.get('llama.rope.dimension_count') ?? config.head_dim
  if (rotary !== config.head_dim)
    throw refusal(`${path}: llama.rope.dimension_count is ${rotary}, where head_dim (${config.head_dim}) is due`)
  checkKeys(archive, config.head_dim)
  const divisors = tensors.get('rope_freqs.weight')
  return divisors === undefined ? config : { ...config, rope_scaling: await scalingOfDivisors(path, divisors, config) }
}

/**
 * Undoes llama.cpp's row order of q and k: within a head, its row 2 j + half is Hugging Face's row half · headDim / 2 +
 * j.
 * @example unpermuteRows(new Float32Array([0, 2, 1, 3]), 1, 4)  // one head of four rows: [0, 1, 2, 3]
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
 * The tensors under their Hugging Face names and in its row order. Throws an `IoError` for one that is no part of a
 * LLaMA.
 */
export const ggufTensors = (archive: Archive, config: CheckpointConfig): ReadonlyMap<string, Entry> =>
  new Map(
    [...archive.tensors.values()].flatMap((entry): readonly [string, Entry][] => {
      const name = huggingFaceName(entry.name)
      if (name === undefined) {
        if (entry.name === 'rope_freqs.weight') return [] // read with the config
        throw refusal(`${archive.path}: tensor ${entry.name}: a LLaMA has no such tensor`)
      }
      const heads = name.endsWith('.q_proj.weight')
        ? config.num_attention_heads
        : name.endsWith('.k_proj.weight')
          ? config.num_key_value_heads
          : 0
      if (heads === 0) return [[name, { ...entry, name }]]
      const read = async (): Promise<StoredValue> => unpermuted(await entry.read(), heads, config.head_dim)
      const subject = `${archive.path}: tensor ${entry.name}`
      return [
        [name, { ...entry, name, read, readF32: () => attempt(subject, async () => toF32(subject, await read())) }],
      ]
    }),
  )

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

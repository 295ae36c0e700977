import type * as E from 'fp-ts/lib/Either.js'
import type { LlamaConfig, RopeScaling } from '../model/index.ts'
import { attemptSync, refusal, type IoError } from './error.ts'
import { isRecord } from './file.ts'

/** A LLaMA's config.json after validation: what the model is made of, with defaults filled in, and what goes with it. */
export interface CheckpointConfig extends LlamaConfig {
  readonly rope_scaling: RopeScaling
  readonly model_type: 'llama'
  readonly architectures: readonly string[]
  readonly max_position_embeddings: number
  readonly bos_token_id: readonly number[]
  /** Every id that ends a sequence; none where the file names none. */
  readonly eos_token_id: readonly number[]
}

type Json = Readonly<Record<string, unknown>>

/** Reads fields of one JSON object. Absent and null are the same; `named` says how a field is called in the file. */
const fieldsOf = (json: Json, file: string, named: (field: string) => string) => {
  const wrong = (field: string, due: string): Error =>
    refusal(`${file}: ${named(field)} is ${JSON.stringify(json[field]) ?? 'missing'}, where ${due} is due`)
  const number = (field: string, fallback: number | undefined, due: string, valid: (x: number) => boolean): number => {
    const value = json[field] ?? fallback
    if (typeof value !== 'number' || !valid(value)) throw wrong(field, due)
    return value
  }
  return {
    wrong,
    integer: (field: string, max: number, fallback?: number): number =>
      number(field, fallback, `an integer from 1 to ${max}`, x => Number.isInteger(x) && x >= 1 && x <= max),
    between: (field: string, min: number, max: number, fallback?: number): number =>
      number(field, fallback, `a number from ${min} to ${max}`, x => x >= min && x <= max),
    flag: (field: string, fallback: boolean): boolean => {
      const value = json[field] ?? fallback
      if (typeof value !== 'boolean') throw wrong(field, 'true or false')
      return value
    },
    ids: (field: string, vocabulary: number): readonly number[] => {
      const value = json[field] ?? []
      const ids: readonly unknown[] = Array.isArray(value) ? value : [value]
      return ids.map(id => {
        if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabulary) return id
        throw wrong(field, `a token id below the vocabulary's ${vocabulary}`)
      })
    },
    strings: (field: string): readonly string[] => {
      const value = json[field] ?? []
      if (!Array.isArray(value) || !value.every(x => typeof x === 'string')) throw wrong(field, 'a list of strings')
      return value
    },
    /** Fields that may say only what this implementation does. */
    only: (field: string, ...allowed: readonly unknown[]): void => {
      const value = json[field]
      if (value !== undefined && value !== null && !allowed.includes(value)) throw wrong(field, allowed.map(x => JSON.stringify(x)).join(' or '))
    },
    object: (field: string): Json | undefined => {
      const value = json[field] ?? undefined
      if (value !== undefined && !isRecord(value)) throw wrong(field, 'an object')
      return value
    },
  }
}

// far above every published model, and low enough that no product of two of them leaves the safe integers
const limits = { vocab: 2 ** 24, hidden: 2 ** 20, intermediate: 2 ** 22, layers: 2 ** 12, heads: 2 ** 14, headDim: 2 ** 14, positions: 2 ** 30 }

const ropeScaling = (json: Json, file: string, where: string): RopeScaling => {
  const fields = fieldsOf(json, file, field => `${where}.${field}`)
  const type = json['rope_type'] ?? json['type'] ?? 'default'
  fields.only('partial_rotary_factor', 1)
  switch (type) {
    case 'default': return { rope_type: 'default' }
    case 'linear': return { rope_type: 'linear', factor: fields.between('factor', 1, 1e6) }
    case 'llama3': {
      const low = fields.between('low_freq_factor', 1e-6, 1e6)
      const high = fields.between('high_freq_factor', 1e-6, 1e6)
      if (high <= low) throw fields.wrong('high_freq_factor', `a number above low_freq_factor (${low})`)
      return {
        rope_type: 'llama3', factor: fields.between('factor', 1, 1e6), low_freq_factor: low, high_freq_factor: high,
        original_max_position_embeddings: fields.integer('original_max_position_embeddings', limits.positions),
      }
    }
    default: throw refusal(`${file}: the rope type ${JSON.stringify(type)} in ${where} is not supported (default, linear and llama3 are)`)
  }
}

const validate = (json: Json, file: string, named: (field: string) => string): CheckpointConfig => {
  const fields = fieldsOf(json, file, named)
  if (json['model_type'] !== 'llama') {
    throw refusal(`${file}: ${named('model_type')} is ${JSON.stringify(json['model_type']) ?? 'missing'}; only "llama" is supported`)
  }
  fields.only('hidden_act', 'silu')
  fields.only('attention_bias', false)
  fields.only('mlp_bias', false)
  fields.only('quantization_config')
  const vocab_size = fields.integer('vocab_size', limits.vocab)
  const hidden_size = fields.integer('hidden_size', limits.hidden)
  const heads = fields.integer('num_attention_heads', limits.heads)
  const kvHeads = fields.integer('num_key_value_heads', limits.heads, heads)
  if (heads % kvHeads !== 0) throw fields.wrong('num_key_value_heads', `a divisor of ${named('num_attention_heads')} (${heads})`)
  if ((json['head_dim'] ?? undefined) === undefined && hidden_size % heads !== 0) {
    throw fields.wrong('num_attention_heads', `a divisor of ${named('hidden_size')} (${hidden_size})`)
  }
  const head_dim = fields.integer('head_dim', limits.headDim, hidden_size / heads)
  if (head_dim % 2 !== 0) throw refusal(`${file}: ${named('head_dim')} is ${head_dim}, where an even number is due`)
  // transformers 5 writes rope_parameters, earlier versions rope_theta and rope_scaling
  const rope = fields.object('rope_parameters')
  const theta = rope !== undefined && 'rope_theta' in rope ? fieldsOf(rope, file, field => `rope_parameters.${field}`) : fields
  return {
    model_type: 'llama',
    architectures: fields.strings('architectures'),
    vocab_size,
    hidden_size,
    intermediate_size: fields.integer('intermediate_size', limits.intermediate),
    num_hidden_layers: fields.integer('num_hidden_layers', limits.layers),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim,
    rms_norm_eps: fields.between('rms_norm_eps', 1e-12, 1e-1, 1e-6),
    rope_theta: theta.between('rope_theta', 1, 1e11, 10000),
    rope_scaling: rope !== undefined ? ropeScaling(rope, file, 'rope_parameters')
      : ropeScaling(fields.object('rope_scaling') ?? {}, file, named('rope_scaling')),
    tie_word_embeddings: fields.flag('tie_word_embeddings', false),
    max_position_embeddings: fields.integer('max_position_embeddings', limits.positions, 2048),
    bos_token_id: fields.ids('bos_token_id', vocab_size),
    eos_token_id: fields.ids('eos_token_id', vocab_size),
  }
}

/**
 * Validates the fields of a LLaMA config under their Hugging Face names and fills in the defaults of transformers.
 * `file` and `named` (how a field is called in that file) serve the messages.
 * Errors: a missing or absurd field, heads that do not divide, an odd head_dim, an unsupported model or rope type, biases.
 * @example parseLlamaConfig(json, 'config.json')
 */
export const parseLlamaConfig = (json: Json, file: string, named = (field: string): string => field): E.Either<IoError, CheckpointConfig> =>
  attemptSync(file, () => validate(json, file, named))

/**
 * The parameters of a LLaMA with their sizes, [out, in] as PyTorch prints them, in the order of the network.
 * @example [...llamaParameters(config)][0]  // ['model.embed_tokens.weight', [vocab, hidden]]
 */
export function* llamaParameters(config: CheckpointConfig): Generator<readonly [name: string, sizes: readonly number[]]> {
  const { vocab_size: vocab, hidden_size: hidden, intermediate_size: ffn, head_dim: headDim } = config
  const query = config.num_attention_heads * headDim
  const keyValue = config.num_key_value_heads * headDim
  yield ['model.embed_tokens.weight', [vocab, hidden]]
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`
    yield [`${layer}.input_layernorm.weight`, [hidden]]
    yield [`${layer}.self_attn.q_proj.weight`, [query, hidden]]
    yield [`${layer}.self_attn.k_proj.weight`, [keyValue, hidden]]
    yield [`${layer}.self_attn.v_proj.weight`, [keyValue, hidden]]
    yield [`${layer}.self_attn.o_proj.weight`, [hidden, query]]
    yield [`${layer}.post_attention_layernorm.weight`, [hidden]]
    yield [`${layer}.mlp.gate_proj.weight`, [ffn, hidden]]
    yield [`${layer}.mlp.up_proj.weight`, [ffn, hidden]]
    yield [`${layer}.mlp.down_proj.weight`, [hidden, ffn]]
  }
  yield ['model.norm.weight', [hidden]]
  if (!config.tie_word_embeddings) yield ['lm_head.weight', [vocab, hidden]]
}

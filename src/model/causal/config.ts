import type * as E from '../../either/index.ts'
import type { CausalConfig } from './lm.ts'
import type { RopeScaling } from './rope-scaling.ts'
import { fieldsOf, limits, type Json, attemptSync, refusal, type IoError } from '../../text/index.ts'
import { ropeOf } from './rope-config.ts'

/**
 * A config.json of a causal language model after validation: the model's own fields, with defaults filled in, and those
 * that accompany it.
 */
export interface CheckpointConfig extends CausalConfig {
  readonly rope_scaling: RopeScaling
  readonly model_type: string
  readonly architectures: readonly string[]
  readonly max_position_embeddings: number
  readonly bos_token_id: readonly number[]
  /** Every id that ends a sequence; empty if the file names none. */
  readonly eos_token_id: readonly number[]
}

/** Facts in which the configs of architectures differ. */
export interface ConfigFacts {
  /** `model_type`. */
  readonly name: string
  /** The class in transformers, which `architectures` must name. */
  readonly className: string
  /** The neutral values of fields, if they differ from those of most architectures; undefined accepts any value. */
  readonly neutral?: Readonly<Record<string, readonly unknown[] | undefined>>
  /** True if `attention_bias` is an option. */
  readonly attentionBias?: boolean
  /** The defaults of `max_position_embeddings`, `num_key_value_heads` and `head_dim`. */
  readonly positions: number
  readonly keyValueHeads?: number
  readonly headDim?: number
}

/**
 * Fields of other architectures, and of some variants of this one, with their neutral values. Any other value means a
 * model that is not supported here, whatever the model_type.
 */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  hidden_act: ['silu'],
  hidden_activation: ['silu'],
  attention_bias: [false],
  mlp_bias: [false],
  use_bias: [false],
  qkv_bias: [false],
  bias: [false],
  attention_dropout: [0],
  quantization: [],
  compression_config: [],
  sliding_window: [false],
  use_sliding_window: [false],
  attention_chunk_size: [],
  use_bidirectional_attention: [false],
  is_causal: [true],
  rotary_pct: [1],
  rope_interleaved: [false],
  rope_interleave: [false],
  no_rope_layers: [],
  no_rope_layer_interval: [],
  alibi: [false],
  logit_scale: [1],
  logits_scaling: [1],
  final_logit_softcapping: [],
  attn_logit_softcapping: [],
  query_pre_attn_scalar: [],
  attention_multiplier: [],
  embedding_multiplier: [1],
  residual_multiplier: [1],
  scale_emb: [1],
  scale_depth: [],
  dim_model_base: [],
  attn_temperature_tuning: [false],
  qk_norm: [false],
  use_qk_norm: [false],
  qk_layernorm: [false],
  clip_qkv: [],
  parallel_attn: [false],
  use_parallel_residual: [false],
  num_experts: [0, 1],
  num_local_experts: [0, 1],
  n_routed_experts: [0, 1],
  kv_lora_rank: [],
  q_lora_rank: [],
}

const validate = (json: Json, file: string, named: (field: string) => string, facts: ConfigFacts): CheckpointConfig => {
  const fields = fieldsOf(json, file, named)
  if (json['model_type'] !== facts.name) throw fields.wrong('model_type', JSON.stringify(facts.name))
  for (const [field, values] of Object.entries({ ...neutral, ...facts.neutral }))
    if (values !== undefined) fields.only(field, ...values)
  fields.only('quantization_config')
  const architectures = fields.strings('architectures')
  const isKnown = (name: string): boolean => name.toLowerCase() === facts.className.toLowerCase()
  if (architectures.length > 0 && !architectures.some(isKnown))
    throw fields.wrong('architectures', JSON.stringify([facts.className]))
  const layerTypes = fields.strings('layer_types')
  if (layerTypes.some(type => type !== 'full_attention'))
    throw fields.wrong('layer_types', '"full_attention" in every layer')
  const vocab_size = fields.integer('vocab_size', limits.vocab)
  const hidden_size = fields.integer('hidden_size', limits.hidden)
  const heads = fields.integer('num_attention_heads', limits.heads)
  // null means one key for each query, even if a missing field has another default
  const kvHeads = fields.integer(
    'num_key_value_heads',
    limits.heads,
    json['num_key_value_heads'] === null ? heads : (facts.keyValueHeads ?? heads),
  )
  if (heads % kvHeads !== 0)
    throw fields.wrong('num_key_value_heads', `a divisor of ${named('num_attention_heads')} (${heads})`)
  if (facts.headDim !== undefined && json['head_dim'] === null) throw fields.wrong('head_dim', 'an even number')
  if (facts.headDim === undefined && (json['head_dim'] ?? undefined) === undefined && hidden_size % heads !== 0) {
    throw fields.wrong('num_attention_heads', `a divisor of ${named('hidden_size')} (${hidden_size})`)
  }
  const head_dim = fields.integer('head_dim', limits.headDim, facts.headDim ?? hidden_size / heads)
  if (head_dim % 2 !== 0) throw refusal(`${file}: ${named('head_dim')} is ${head_dim}: expected an even number`)
  const positions = fields.integer('max_position_embeddings', limits.positions, facts.positions)
  return {
    model_type: facts.name,
    architectures,
    vocab_size,
    hidden_size,
    intermediate_size: fields.integer('intermediate_size', limits.intermediate),
    num_hidden_layers: fields.integer('num_hidden_layers', limits.layers),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim,
    rms_norm_eps: fields.between('rms_norm_eps', 1e-12, 1e-1, 1e-6),
    ...ropeOf(json, file, named, positions),
    tie_word_embeddings: fields.flag('tie_word_embeddings', false),
    ...(facts.attentionBias === true ? { attention_bias: fields.flag('attention_bias', false) } : {}),
    max_position_embeddings: positions,
    bos_token_id: fields.ids('bos_token_id', vocab_size),
    eos_token_id: fields.ids('eos_token_id', vocab_size),
  }
}

/**
 * Makes the reader of an architecture's config.json, which validates the fields under their Hugging Face names and
 * fills in the defaults of transformers. Errors: a missing or absurd field, heads that do not divide, an odd head_dim,
 * another model_type, an unsupported rope type, a field that changes what is computed.
 * @example causalConfig({ name: 'llama', className: 'LlamaForCausalLM', positions: 2048 })(json, 'config.json')
 */
export const causalConfig =
  (facts: ConfigFacts) =>
  (json: Json, file: string, named = (field: string): string => field): E.Either<IoError, CheckpointConfig> =>
    attemptSync(file, () => validate(json, file, named, facts))

/**
 * The config.json of a model that came without one. A list with a single id becomes that id.
 * @example causalJson('LlamaForCausalLM', { attention_bias: false })(config)
 */
export const causalJson =
  (className: string, constants: Json) =>
  ({
    eos_token_id: eos,
    bos_token_id: bos,
    rope_scaling: { rope_type, ...scaling },
    ...config
  }: CheckpointConfig): Json => ({
    ...config,
    architectures: [className],
    hidden_act: 'silu',
    ...constants,
    bos_token_id: bos[0] ?? null,
    eos_token_id: eos.length > 1 ? eos : (eos[0] ?? null),
    rope_scaling: rope_type === 'default' ? null : { rope_type, ...scaling },
  })

import type * as E from 'fp-ts/lib/Either.js'
import type { LlamaConfig } from './llama.ts'
import type { RopeScaling } from './rope-scaling.ts'
import { fieldsOf, limits, type Json, attemptSync, refusal, type IoError, shown } from '../../host/index.ts'
import { ropeOf } from './rope-config.ts'

/**
 * A LLaMA's config.json after validation: what the model is made of, with defaults filled in, and what goes with it.
 */
export interface CheckpointConfig extends LlamaConfig {
  readonly rope_scaling: RopeScaling
  readonly model_type: 'llama'
  readonly architectures: readonly string[]
  readonly max_position_embeddings: number
  readonly bos_token_id: readonly number[]
  /** Every id that ends a sequence; none where the file names none. */
  readonly eos_token_id: readonly number[]
}

/**
 * Fields of other architectures, and of some variants of this one, with the values that change nothing. What is set to
 * another means a model that is not computed here, whatever model_type says.
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

const validate = (json: Json, file: string, named: (field: string) => string): CheckpointConfig => {
  const fields = fieldsOf(json, file, named)
  if (json['model_type'] !== 'llama') {
    throw refusal(`${file}: ${named('model_type')} is ${shown(json['model_type'])}; only "llama" is supported`)
  }
  for (const [field, values] of Object.entries(neutral)) fields.only(field, ...values)
  fields.only('quantization_config')
  const architectures = fields.strings('architectures')
  if (architectures.length > 0 && !architectures.some(name => /^llamaforcausallm$/i.test(name))) {
    throw fields.wrong('architectures', '["LlamaForCausalLM"]')
  }
  const layerTypes = fields.strings('layer_types')
  if (layerTypes.some(type => type !== 'full_attention'))
    throw fields.wrong('layer_types', '"full_attention" in every layer')
  const vocab_size = fields.integer('vocab_size', limits.vocab)
  const hidden_size = fields.integer('hidden_size', limits.hidden)
  const heads = fields.integer('num_attention_heads', limits.heads)
  const kvHeads = fields.integer('num_key_value_heads', limits.heads, heads)
  if (heads % kvHeads !== 0)
    throw fields.wrong('num_key_value_heads', `a divisor of ${named('num_attention_heads')} (${heads})`)
  if ((json['head_dim'] ?? undefined) === undefined && hidden_size % heads !== 0) {
    throw fields.wrong('num_attention_heads', `a divisor of ${named('hidden_size')} (${hidden_size})`)
  }
  const head_dim = fields.integer('head_dim', limits.headDim, hidden_size / heads)
  if (head_dim % 2 !== 0) throw refusal(`${file}: ${named('head_dim')} is ${head_dim}, where an even number is due`)
  const positions = fields.integer('max_position_embeddings', limits.positions, 2048)
  return {
    model_type: 'llama',
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
    max_position_embeddings: positions,
    bos_token_id: fields.ids('bos_token_id', vocab_size),
    eos_token_id: fields.ids('eos_token_id', vocab_size),
  }
}

/**
 * Validates the fields of a LLaMA config under their Hugging Face names and fills in the defaults of transformers.
 * `file` and `named` (how a field is called in that file) serve the messages. Errors: a missing or absurd field, heads
 * that do not divide, an odd head_dim, an unsupported model or rope type, biases.
 * @example parseLlamaConfig(json, 'config.json')
 */
export const parseLlamaConfig = (
  json: Json,
  file: string,
  named = (field: string): string => field,
): E.Either<IoError, CheckpointConfig> => attemptSync(file, () => validate(json, file, named))

/**
 * The parameters of a LLaMA with their sizes, [out, in] as PyTorch prints them, in the order of the network.
 * @example [...llamaParameters(config)][0]  // ['model.embed_tokens.weight', [vocab, hidden]]
 */
export function* llamaParameters(
  config: CheckpointConfig,
): Generator<readonly [name: string, sizes: readonly number[]]> {
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

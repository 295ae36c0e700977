import type { Json } from '../text/index.ts'
import { causalConfig, causalJson, type CheckpointConfig } from './causal/config.ts'
import { causalLM, plainLayer, type CausalConfig, type CausalLM } from './causal/lm.ts'
import { causalGguf, causalNames } from './causal/names.ts'
import { llama3Extra } from './causal/rope-divisors.ts'
import type { CausalArchitecture } from './causal/architecture.ts'

/**
 * A LLaMA (Touvron et al. 2023) with grouped queries, rotary positions and a tied or an untied head.
 * @example const smol = llama(config) // smol.params.model.layers[0].mlp.up_proj: Tensor<['hidden', 'ffn']>
 */
export const llama = (config: CausalConfig): CausalLM => causalLM(config, plainLayer)

const className = 'LlamaForCausalLM'

/** The fields of a config.json that LLaMA 2 and 3 have in common. */
const common: Json = { model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5, tie_word_embeddings: false }
const llama2: Json = { ...common, vocab_size: 32000, max_position_embeddings: 4096 }
const llama3: Json = {
  ...common,
  vocab_size: 128256,
  num_key_value_heads: 8,
  max_position_embeddings: 8192,
  rope_theta: 500000,
}
/** Touvron et al. 2023, Grattafiori et al. 2024, Allal et al. 2025: the config.json files on Hugging Face. */
const published: Readonly<Record<string, Json>> = {
  'llama2-7b': {
    ...llama2,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  'llama2-13b': {
    ...llama2,
    hidden_size: 5120,
    intermediate_size: 13824,
    num_hidden_layers: 40,
    num_attention_heads: 40,
  },
  'llama3-8b': {
    ...llama3,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  'llama3.1-70b': {
    ...llama3,
    hidden_size: 8192,
    intermediate_size: 28672,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    max_position_embeddings: 131072,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  },
  'smollm2-135m': {
    ...common,
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 8192,
    rope_theta: 100000,
    tie_word_embeddings: true,
  },
}

/** LLaMA 1 to 3.2, SmolLM2 and similar models. */
export const llamaArchitecture: CausalArchitecture = {
  ...causalNames,
  name: 'llama',
  className,
  config: causalConfig({ name: 'llama', className, positions: 2048 }),
  published,
  json: causalJson(className, { attention_bias: false, mlp_bias: false }),
  model: llama,
  gguf: {
    ...causalGguf,
    // llama.cpp rotates neighbouring features of q and k (convert_hf_to_gguf.py, `LlamaModel.permute`)
    reordered: (path: string, config: CheckpointConfig): number =>
      path.endsWith('.q_proj') ? config.num_attention_heads : path.endsWith('.k_proj') ? config.num_key_value_heads : 0,
    extra: llama3Extra,
  },
}

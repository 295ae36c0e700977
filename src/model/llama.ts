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

/** LLaMA 1 to 3.2, SmolLM2 and similar models. */
export const llamaArchitecture: CausalArchitecture = {
  ...causalNames,
  name: 'llama',
  className,
  config: causalConfig({ name: 'llama', className, positions: 2048 }),
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

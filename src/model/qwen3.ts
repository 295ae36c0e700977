import { f32 } from '../tensor/index.ts'
import type { CausalArchitecture } from './causal/architecture.ts'
import { causalConfig, causalJson } from './causal/config.ts'
import { attentionBiases, causalLM, plainLayer, type CausalLayer } from './causal/lm.ts'
import { causalGguf, causalNames } from './causal/names.ts'

/** A layer with a norm over the features of each query and each key, and with biases if `hasBiases`. */
const layer = (hasBiases: boolean): CausalLayer => {
  const { self_attn, ...plain } = plainLayer()
  const norms = { q_norm: f32('headDim'), k_norm: f32('headDim') }
  return { ...plain, self_attn: { ...self_attn, ...norms, ...(hasBiases ? attentionBiases() : {}) } }
}

const className = 'Qwen3ForCausalLM'

/**
 * Dense Qwen3 (Yang et al. 2025): LLaMAs whose queries and keys are normed head by head, and whose heads have a size of
 * their own. A config with a sliding window is refused.
 */
export const qwen3Architecture: CausalArchitecture = {
  ...causalNames,
  name: 'qwen3',
  className,
  config: causalConfig({
    name: 'qwen3',
    className,
    // `use_sliding_window` enables the window, of which this is the size
    neutral: { sliding_window: undefined, attention_bias: undefined },
    attentionBias: true,
    positions: 32768,
    keyValueHeads: 32,
    headDim: 128,
  }),
  json: causalJson(className, { use_sliding_window: false }),
  model: config => causalLM(config, () => layer(config.attention_bias === true)),
  gguf: causalGguf,
}

import type { CausalArchitecture } from './causal/architecture.ts'
import { causalConfig, causalJson } from './causal/config.ts'
import { attentionBiases, causalLM, plainLayer, type CausalLayer } from './causal/lm.ts'
import { causalGguf, causalNames } from './causal/names.ts'

/** A layer whose queries, keys and values have biases. */
const layer = (): CausalLayer => {
  const { self_attn, ...plain } = plainLayer()
  const { 'o_proj.bias': _, ...biases } = attentionBiases()
  return { ...plain, self_attn: { ...self_attn, ...biases } }
}

const className = 'Qwen2ForCausalLM'

/**
 * Qwen2 and Qwen2.5 (Yang et al. 2024): LLaMAs whose queries, keys and values have biases. A config with a sliding
 * window is refused.
 */
export const qwen2Architecture: CausalArchitecture = {
  ...causalNames,
  name: 'qwen2',
  className,
  config: causalConfig({
    name: 'qwen2',
    className,
    // `use_sliding_window` enables the window, of which this is the size; the biases are fixed
    neutral: { sliding_window: undefined, attention_bias: undefined },
    positions: 32768,
    keyValueHeads: 32,
  }),
  json: causalJson(className, { use_sliding_window: false }),
  model: config => causalLM(config, layer),
  gguf: causalGguf,
}

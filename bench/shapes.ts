import type { CausalConfig } from '../src/model.ts'

/** Four layers of the size of SmolLM2's, with a small vocabulary, on which the peers are measured. */
export const fourLayers: CausalConfig = {
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 4,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  head_dim: 64,
  vocab_size: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
}
/** The shapes of SmolLM2-135M. */
export const smolShapes: CausalConfig = {
  ...fourLayers,
  num_hidden_layers: 30,
  vocab_size: 49_152,
  rope_theta: 100_000,
}

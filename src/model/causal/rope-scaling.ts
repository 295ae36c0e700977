/** The scaling of rotary frequencies for longer contexts, in the forms in use. */
export type RopeScaling =
  | { readonly rope_type: 'default' }
  | { readonly rope_type: 'linear'; readonly factor: number }
  | {
      readonly rope_type: 'llama3'
      readonly factor: number
      readonly low_freq_factor: number
      readonly high_freq_factor: number
      readonly original_max_position_embeddings: number
    }

/**
 * The angle per position of each rotary pair: θ^(−2i/d), stretched by the scaling (Hugging Face's
 * `modeling_rope_utils.py`).
 * @example frequencies(64, 10000) // 32 numbers from 1 downwards
 */
export const frequencies = (headDim: number, theta: number, scaling?: RopeScaling): readonly number[] =>
  Array.from({ length: headDim / 2 }, (_, i) => stretched(theta ** ((-2 * i) / headDim), scaling))

const stretched = (frequency: number, scaling: RopeScaling | undefined): number => {
  if (scaling === undefined || scaling.rope_type === 'default') return frequency
  if (scaling.rope_type === 'linear') return frequency / scaling.factor
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: context } = scaling
  const turns = (context * frequency) / (2 * Math.PI)
  // pairs that rotate fast keep their frequency, slow ones are stretched, and those between are interpolated
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)))
  return frequency * (kept + (1 - kept) / factor)
}

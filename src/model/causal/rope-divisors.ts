import type { GgufExtra } from './architecture.ts'
import type { CheckpointConfig } from './config.ts'
import type { RopeScaling } from './rope-scaling.ts'

type Llama3 = Extract<RopeScaling, { rope_type: 'llama3' }>

/**
 * The divisors of the frequencies in llama3 scaling. Wavelengths up to old/high are unchanged, those from old/low on
 * are divided by the factor, and those between are interpolated.
 * @example llama3Divisors(500000, 128, scaling)[0] // 1
 */
export const llama3Divisors = (theta: number, headDim: number, s: Llama3): readonly number[] =>
  Array.from({ length: headDim / 2 }, (_, i) => {
    const turns = s.original_max_position_embeddings / (2 * Math.PI * theta ** ((2 * i) / headDim))
    const smooth = Math.min(1, Math.max(0, (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)))
    return 1 / ((1 - smooth) / s.factor + smooth)
  })

/**
 * The llama3 scaling of GGUF files of Llama 3.1 and later, which contain only the divisors, not the numbers that they
 * come from.
 */
export const llama3Extra: GgufExtra<CheckpointConfig> = {
  tensor: 'rope_freqs.weight',
  length: config => config.head_dim / 2,
  expected: 'is not the llama3 rope scaling, and no other is supported',
  config: (divisors, config) => {
    // every published model with such divisors was trained at 8192 positions with the factors 1 and 4
    const rope_scaling: Llama3 = {
      rope_type: 'llama3',
      factor: divisors.reduce((a, b) => Math.max(a, b), 1),
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    }
    const expected = llama3Divisors(config.rope_theta, config.head_dim, rope_scaling)
    const fits = divisors.length === expected.length && expected.every((x, i) => Math.abs(x - divisors[i]!) <= 1e-3 * x)
    return fits ? { ...config, rope_scaling } : undefined
  },
}

import { placeholder, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All } from '../mask.ts'
import type { Method } from './method.ts'
import { uniformWithin } from './first-values.ts'
import { leafwise, matrixDims, type Leafwise } from './leafwise.ts'
import {
  factorOptions,
  factorsOf,
  firstFactors,
  lowRankSum,
  product,
  type LoraMask,
  type LoraOptions,
  type WithFactors,
} from './lora.ts'
import type { LeafFunction, RankOf, Ranks, TargetsOf } from './targets.ts'
import { trained } from './kept.ts'
import { matrixProduct } from './low-rank.ts'
import { method } from './record.ts'

/** A LoRA leaf with a mixer `[r, r]` between A and B. */
export interface MosLoraLeaf<R extends Dim> extends LeafFunction {
  readonly becomes: WithMixer<this['leaf'], R>
}
export interface WithMixer<L, R extends Dim> extends WithFactors<L, R> {
  readonly lora_mixer: Tensor<readonly [R, R]>
}
export type MosLora<T extends string, R extends number> = Leafwise<
  T,
  MosLoraLeaf<R>,
  LoraMask & { readonly lora_mixer: All }
>
type Mixed = { readonly weight: Node; readonly lora_A: Node; readonly lora_mixer: Node; readonly lora_B: Node }

/**
 * Mixture-of-subspaces LoRA (Wu et al. 2024): W + α/r · A M B, with trained A, mixer M and B.
 * @example moslora({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const moslora = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>({
  targets,
  seed,
  ...options
}: Omit<LoraOptions<T, R, K>, 'dropout'>): Method<MosLora<TargetsOf<T>, RankOf<R, K>>> =>
  leafwise<MosLora<TargetsOf<T>, RankOf<R, K>>, Mixed>('moslora', targets, (leaf, path) => {
    matrixDims('moslora', leaf, path)
    const factors = factorsOf('moslora', leaf, path, options)
    const { A, B, rank, scale } = factors
    const M = placeholder([rank, rank], 'f32')
    return {
      becomes: { weight: leaf, lora_A: A, lora_mixer: M, lora_B: B },
      mask: { weight: frozen, lora_A: all, lora_mixer: all, lora_B: all },
      weight: ({ weight, lora_A, lora_mixer, lora_B }) =>
        lowRankSum(weight, product(lora_A, lora_mixer), lora_B, scale),
      additions: [
        firstFactors(factors, path, seed),
        {
          of: path,
          leaves: [M],
          make: ({ size }) => [uniformWithin(M, size, 1 / Math.sqrt(rank), { seed, path: `${path}.lora_mixer` })],
        },
      ],
    }
  })

export const mosloraMethod = method({
  name: 'moslora',
  title: 'MosLoRA',
  trains: 'two narrow factors and a mixer between them',
  paper: { by: 'Wu et al. 2024', url: 'https://arxiv.org/abs/2406.11909' },
  make: moslora,
  takes: factorOptions,
  rank: { default: 8 },
  reach: 'linear',
  targets: 'usual',
  tensors: [{ lora_A: trained('in', 'r'), lora_B: trained('r', 'out'), lora_mixer: trained('r', 'r') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: 'factors',
  lora: {
    factors: ({ tensors: { lora_A, lora_B, lora_mixer }, scale }) => ({
      lora_A: matrixProduct(lora_A, lora_mixer),
      lora_B,
      scale,
    }),
  },
  peft: undefined,
})

import { placeholder, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All } from '../mask.ts'
import type { Method } from './method.ts'
import { uniformWithin } from './first-values.ts'
import { leafwise, matrixDims, type AdaptedLeaf, type Leafwise } from './leafwise.ts'
import {
  dropoutOfInput,
  factorOptions,
  factorsOf,
  firstFactors,
  lowRankSum,
  product,
  randomSource,
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
type Mixed = {
  readonly weight: Node
  readonly lora_A: Node
  readonly lora_mixer: Node
  readonly lora_B: Node
  readonly dropout_stream?: Node
}

/**
 * Mixture-of-subspaces LoRA (Wu et al. 2024): W + α/r · A M B, with trained A, mixer M and B. Dropout applies
 * to the input of A.
 * @example moslora({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const moslora = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>({
  targets,
  seed,
  dropout = 0,
  ...options
}: LoraOptions<T, R, K>): Method<MosLora<TargetsOf<T>, RankOf<R, K>>> => ({
  name: 'moslora',
  apply: params => {
    const draws = randomSource(dropout, seed)
    const made = leafwise<MosLora<TargetsOf<T>, RankOf<R, K>>, Mixed>(
      'moslora',
      targets,
      (leaf, path): AdaptedLeaf<Mixed> => {
        matrixDims('moslora', leaf, path)
        const factors = factorsOf('moslora', leaf, path, options)
        const { A, B, rank, scale } = factors
        const M = placeholder([rank, rank], 'f32')
        const drop = dropoutOfInput(dropout, draws.random, path)
        return {
          becomes: { weight: leaf, lora_A: A, lora_mixer: M, lora_B: B, ...drop.becomes },
          mask: { weight: frozen, lora_A: all, lora_mixer: all, lora_B: all, ...drop.mask },
          weight: leaves =>
            lowRankSum(
              leaves.weight,
              product(drop.dropped(leaves.lora_A, leaves), leaves.lora_mixer),
              leaves.lora_B,
              scale,
            ),
          additions: [
            firstFactors(factors, path, seed),
            {
              of: path,
              leaves: [M],
              make: ({ size }) => [uniformWithin(M, size, 1 / Math.sqrt(rank), { seed, path: `${path}.lora_mixer` })],
            },
            ...drop.additions,
          ],
        }
      },
    ).apply(params)
    return { ...made, ...draws }
  },
})

export const mosloraMethod = method({
  name: 'moslora',
  title: 'MosLoRA',
  trains: 'two narrow factors and a mixer between them',
  paper: { by: 'Wu et al. 2024', url: 'https://arxiv.org/abs/2406.11909' },
  make: moslora,
  takes: [...factorOptions, 'dropout'],
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

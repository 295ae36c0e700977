import { placeholder, u, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All } from '../mask.ts'
import type { Method } from './method.ts'
import { outputNorms } from './first-values.ts'
import { leafwise, matrixDims, type AdaptedLeaf, type Out, type Leafwise } from './leafwise.ts'
import {
  factorOptions,
  factorsInPeft,
  factorsOf,
  firstFactors,
  dropoutOfInput,
  loraFields,
  lowRankSum,
  randomSource,
  refusedInPeft,
  type LoraMask,
  type LoraOptions,
  type WithFactors,
} from './lora.ts'
import type { LeafFunction, RankOf, Ranks, TargetsOf } from './targets.ts'
import { trained } from './kept.ts'
import { addProduct } from './low-rank.ts'
import { method } from './record.ts'

/** A LoRA leaf with a magnitude `[out]` for every output. */
export interface DoraLeaf<R extends Dim> extends LeafFunction {
  readonly becomes: WithMagnitude<this['leaf'], R>
}
export interface WithMagnitude<L, R extends Dim> extends WithFactors<L, R> {
  readonly lora_magnitude_vector: Tensor<readonly [Out<L>]>
}
export type Dora<T extends string, R extends number> = Leafwise<
  T,
  DoraLeaf<R>,
  LoraMask & { readonly lora_magnitude_vector: All }
>
type Magnified = {
  readonly weight: Node
  readonly lora_A: Node
  readonly lora_B: Node
  readonly lora_magnitude_vector: Node
  readonly dropout_stream?: Node
}

/**
 * m ⊙ V / ‖V‖ for every output, without differentiating the norm, as in the paper and PEFT. `direction` is V with
 * dropout applied.
 */
const magnified = (direction: Node, V: Node, m: Node): Node =>
  u.mul(direction, u.div(m, u.stopGradient(u.sqrt(u.sum(u.mul(V, V), [0])))))

/**
 * Weight-decomposed low-rank adaptation (Liu et al., ICML 2024): m ⊙ (W + α/r · A B) / ‖W + α/r · A B‖, with trained A,
 * B and magnitudes m, one for every output. Dropout applies to the input of A; PEFT also applies it to the input of the
 * change that the magnitudes make to W.
 * @example dora({ targets: ['q_proj', 'v_proj'], rank: 8, alpha: 16, seed: 0 })
 */
export const dora = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>({
  targets,
  seed,
  dropout = 0,
  ...options
}: LoraOptions<T, R, K>): Method<Dora<TargetsOf<T>, RankOf<R, K>>> => ({
  name: 'dora',
  apply: params => {
    const draws = randomSource(dropout, seed)
    const made = leafwise<Dora<TargetsOf<T>, RankOf<R, K>>, Magnified>(
      'dora',
      targets,
      (leaf, path): AdaptedLeaf<Magnified> => {
        matrixDims('dora', leaf, path)
        const factors = factorsOf('dora', leaf, path, options)
        const { A, B, output, scale } = factors
        const m = placeholder([output], 'f32')
        const drop = dropoutOfInput(dropout, draws.random, path)
        return {
          becomes: { weight: leaf, lora_A: A, lora_B: B, lora_magnitude_vector: m, ...drop.becomes },
          mask: { weight: frozen, lora_A: all, lora_B: all, lora_magnitude_vector: all, ...drop.mask },
          weight: leaves => {
            const { weight, lora_A, lora_B, lora_magnitude_vector } = leaves
            return magnified(
              lowRankSum(weight, drop.dropped(lora_A, leaves), lora_B, scale),
              lowRankSum(weight, lora_A, lora_B, scale),
              lora_magnitude_vector,
            )
          },
          additions: [
            firstFactors(factors, path, seed),
            {
              of: path,
              leaves: [m],
              make: ({ base }) => [{ shape: m.shape, sizes: [base.sizes[1]!], dtype: 'f32', data: outputNorms(base) }],
            },
            ...drop.additions,
          ],
        }
      },
    ).apply(params)
    return { ...made, ...draws }
  },
})

export const doraMethod = method({
  name: 'dora',
  title: 'DoRA',
  trains: 'two narrow factors and a magnitude for every output',
  paper: { by: 'Liu et al., ICML 2024', url: 'https://arxiv.org/abs/2402.09353' },
  make: dora,
  takes: [...factorOptions, 'dropout'],
  rank: { default: 8 },
  reach: 'linear',
  targets: 'usual',
  tensors: [{ lora_A: trained('in', 'r'), lora_B: trained('r', 'out'), lora_magnitude_vector: trained('out') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: {
    // (m / ‖V‖) ⊙ V − W with V = W + s · A B, with the norm over the inputs of every output
    add: (sum, { tensors: { lora_A, lora_B, lora_magnitude_vector: m }, scale }, { data: base }, by) => {
      const [outputs = 0] = m.sizes
      const V = Float64Array.from(base)
      const squares = new Float64Array(outputs)
      addProduct(V, lora_A, lora_B, scale)
      V.forEach((v, i) => {
        squares[i % outputs]! += v * v
      })
      V.forEach((v, i) => {
        sum[i]! += by * ((m.data[i % outputs]! / Math.sqrt(squares[i % outputs]!)) * v - base[i]!)
      })
    },
  },
  lora: { none: 'DoRA scales every output of the merged weight' },
  peft: {
    type: 'LORA',
    tensors: { ...factorsInPeft, lora_magnitude_vector: ['lora_magnitude_vector', 'out'] },
    // before 0.10, the magnitudes were a separate module
    older: { 'lora_magnitude_vector.weight': 'lora_magnitude_vector' },
    refused: refusedInPeft,
    fields: loraFields(true),
  },
})

import {
  node,
  over,
  placeholder,
  sqrtOp,
  stopGradientOp,
  summed,
  times,
  type Dim,
  type Node,
  type Tensor,
} from '../../tensor/index.ts'
import { all, frozen, type All } from '../mask.ts'
import type { Method } from './method.ts'
import { outputNorms } from './first-values.ts'
import { leafwise, type AdaptedLeaf, type Out, type Leafwise } from './leafwise.ts'
import {
  factorsOf,
  firstFactors,
  dropoutOfInput,
  lowRankSum,
  randomSource,
  type LoraMask,
  type LoraOptions,
  type WithFactors,
} from './lora.ts'
import type { LeafFunction, RankOf, Ranks, TargetsOf } from './targets.ts'

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
 * m ⊙ V / ‖V‖ for every output, the norm not differentiated, as the paper and PEFT have it. `direction` is V with what
 * dropout there is.
 */
const magnified = (direction: Node, V: Node, m: Node): Node =>
  times(direction, over(m, node(stopGradientOp, [node(sqrtOp, [summed(times(V, V), [0])], {})], {})))

/**
 * Weight-decomposed low-rank adaptation (Liu et al., ICML 2024): m ⊙ (W + α/r · A B) / ‖W + α/r · A B‖, of which A, B
 * and the magnitudes m, one for every output, are trained. Dropout is on the input of A; PEFT's is also on that of what
 * the magnitudes add to W.
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

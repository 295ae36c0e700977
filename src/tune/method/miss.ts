import { oneHot, placeholder, plus, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All, type Frozen } from '../mask.ts'
import type { Method } from './method.ts'
import { filled, integers } from './first-values.ts'
import { leafwise, matrixDims, type Out, type Leafwise, type In } from './leafwise.ts'
import { product } from './lora.ts'
import type { LeafFunction, RankOf, Ranks, TargetsOf } from './targets.ts'

export interface MissLeaf<R extends Dim> extends LeafFunction {
  readonly becomes: WithBlock<this['leaf'], R>
}
export interface WithBlock<L, R extends Dim> {
  readonly weight: L
  readonly miss_groups: Tensor<readonly [In<L>], 'i32'>
  readonly miss_block: Tensor<readonly [R, Out<L>]>
}
type Missed = { readonly weight: Node; readonly miss_groups: Node; readonly miss_block: Node }
export type MissMask = { readonly weight: Frozen; readonly miss_groups: Frozen; readonly miss_block: All }

/**
 * Matrix shard sharing (Kang & Yin 2024, "Bone", in PEFT as MiSS): every r-th input shares a row of one trained block M
 * `[r, out]`, W + E M with E the 0/1 matrix of which input belongs to which row; of each token only the r sums x E are
 * kept.
 * @example miss({ targets: ['q_proj', 'v_proj'], rank: 8 })
 */
export type Miss<T extends string, R extends number> = Leafwise<T, MissLeaf<R>, MissMask>
export const miss = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>({
  targets,
  rank,
  ranks,
}: {
  readonly targets: T
  readonly rank: R
  readonly ranks?: K
}): Method<Miss<TargetsOf<T>, RankOf<R, K>>> =>
  leafwise<Miss<TargetsOf<T>, RankOf<R, K>>, Missed>('miss', targets, (leaf, path) => {
    const [input, output] = matrixDims('miss', leaf, path)
    const r = ranks?.get(path) ?? rank
    const groups = placeholder([input], 'i32')
    const block = placeholder([r, output], 'f32')
    return {
      becomes: { weight: leaf, miss_groups: groups, miss_block: block },
      mask: { weight: frozen, miss_groups: frozen, miss_block: all },
      weight: ({ weight, miss_groups, miss_block }) => plus(weight, product(oneHot(miss_groups, r), miss_block)),
      additions: [
        {
          of: path,
          leaves: [groups, block],
          make: ({ size }) => [
            integers(
              groups,
              Int32Array.from({ length: size(input) }, (_, i) => i % r),
            ),
            filled(block, size),
          ],
        },
      ],
    }
  })

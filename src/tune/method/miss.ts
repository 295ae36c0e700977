import { placeholder, u, type Dim, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All, type Frozen } from '../mask.ts'
import type { Method } from './method.ts'
import { filled, integers } from './first-values.ts'
import { leafwise, matrixDims, type Out, type Leafwise, type In } from './leafwise.ts'
import { product } from './lora.ts'
import type { LeafFunction, RankOf, Ranks, TargetsOf } from './targets.ts'
import { trained } from './kept.ts'
import { matrix } from './low-rank.ts'
import { method } from './record.ts'

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

export type Miss<T extends string, R extends number> = Leafwise<T, MissLeaf<R>, MissMask>

/**
 * Matrix shard sharing (Kang & Yin 2024, "Bone", in PEFT as MiSS): every r-th input shares a row of one trained block M
 * `[r, out]`, W + E M, where the 0/1 matrix E assigns inputs to rows; only the r sums x E are kept for each token.
 * @example miss({ targets: ['q_proj', 'v_proj'], rank: 8 })
 */
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
      weight: ({ weight, miss_groups, miss_block }) => u.add(weight, product(u.oneHot(miss_groups, r), miss_block)),
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

/** E on the host: 1 if an input belongs to a row of the block. */
const sharingRows = (inputs: number, rank: number) => {
  const data = new Float32Array(inputs * rank)
  for (let i = 0; i < inputs; i++) data[i * rank + (i % rank)] = 1
  return matrix(inputs, rank, data)
}

export const missMethod = method({
  name: 'miss',
  title: 'MiSS',
  trains: 'one block of rows, each shared by every r-th input',
  paper: { by: 'Kang & Yin 2024', url: 'https://arxiv.org/abs/2409.15371' },
  make: miss,
  takes: ['rank', 'ranks'],
  rank: { default: 8, counts: 'inputs' },
  reach: 'linear',
  targets: 'usual',
  tensors: [{ miss_block: trained('r', 'out') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: 'factors',
  lora: {
    factors: ({ tensors: { miss_block }, inputs }) => ({
      lora_A: sharingRows(inputs, miss_block.sizes[0]!),
      lora_B: miss_block,
      scale: 1,
    }),
  },
  // MiSS stores its block in the same layout
  peft: {
    type: 'MISS',
    tensors: { miss_block: ['miss_block', 'r', 'out'] },
    oneRank: true,
    fields: {
      r: { holds: 'rank', absent: 64 },
      mini_r: { only: 1 },
      miss_dropout: { only: 0 },
      bias: { holds: 'bias', unset: 'none', own: 'MiSS_only' },
      init_weights: {
        oneOf: [true, false],
        expected: 'true or false (the variants "bat" and "mini" are not supported)',
        write: true,
      },
    },
  },
})

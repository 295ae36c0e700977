import type { Account, AccountOptions } from '../../compile/index.ts'

/** The regimes in which the paper's runs are accounted, and what they hold besides what autograd keeps. */

/** The sizes of a batch. */
export interface BatchSizes {
  readonly batch: number
  readonly seq?: number
}

/** The bytes of a step that do not depend on its batch, by its numbers of parameters. */
export interface Fixed {
  readonly weights: number
  readonly others: number
}
type Numbers = Pick<Account, 'trained' | 'parameters'>

/**
 * DeepSpeed's bf16 optimizer, which the paper's code uses: 16 bits for each weight; for each trained number a gradient
 * of 16 and one of 32 bits, a weight of 32 and of 16 bits, and two moments of AdamW.
 */
export const deepSpeed = ({ trained, parameters }: Numbers): Fixed => ({
  weights: 2 * parameters,
  others: 20 * trained,
})
/**
 * QLoRA's: NF4 with quantized scales, 4 + 8/64 + 32/(64 · 256) bits; everything else in float32; a float32 weight,
 * gradient and two moments for each trained number.
 */
export const quantizedFixed = ({ trained, parameters }: Numbers, quantized: number): Fixed => ({
  weights: ((4 + 8 / 64 + 32 / (64 * 256)) / 8) * quantized + 4 * (parameters - quantized),
  others: 16 * trained,
})
/** Automatic mixed precision: float32 weights, and a gradient and two moments for each trained number. */
export const mixed = ({ trained, parameters }: Numbers): Fixed => ({ weights: 4 * parameters, others: 12 * trained })

/** The transformers of the paper, 4.44 or before, in bf16 without checkpointing, attention fused. */
export const papers: AccountOptions = { precision: 'bf16', transformers: 4 }
/** The regime of a careful user in 2026: TRL's checkpointing, and its loss in pieces of 256 rows. */
export const careful: AccountOptions = { precision: 'bf16', transformers: 5, checkpointing: true, chunk: 256 }

/** All bytes of a step. */
export const bytesOf = ({ weights, others }: Fixed, { total }: Account): number => weights + others + total

/** The largest size with which an affine number of bytes fits, from the bytes at two sizes. */
export const largest = (
  budget: number,
  at: (size: number) => number,
  [near, far]: readonly [number, number],
): number => {
  const slope = (at(far) - at(near)) / (far - near)
  return Math.floor(near + (budget - at(near)) / slope)
}

import { recomputation } from '../compile/index.ts'
import type { ModelPlan } from './plan-types.ts'

/** The sizes of a planned step in words. @example sizesText({ batch: 2, seq: 512 }) // 2 × 512 tokens */
export const sizesText = ({ batch, seq }: Pick<ModelPlan, 'batch' | 'seq'>): string =>
  `${batch} ${seq === undefined ? 'images' : `× ${seq} tokens`}`

/** The cost and the saving of what a plan recomputes, in words; nothing unless it was to recompute. */
export const recomputedText = ({ total, flops, instead }: Pick<ModelPlan, 'total' | 'flops' | 'instead'>): string =>
  instead === undefined ? '' : recomputation({ total, flops: flops.forward + flops.backward }, instead)

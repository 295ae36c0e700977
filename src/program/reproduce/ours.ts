import { foresee, type Foresight } from '../../backend/index.ts'
import type { Step } from '../../compile/index.ts'
import type { BatchSizes } from './regime.ts'

/** The bytes that this compiler's plan holds for the same step as a row of the paper. */

/** The target and the precision of the plans: the paper's runs are in bfloat16. */
const as = { target: 'graph', precision: 'bf16' } as const

/** The condition of the columns, in words. */
export const oursText =
  `ours: the most bytes that this compiler's plan holds for the same step, weights and optimizer's state (AdamW in ` +
  `float32) included, on the ${as.target} target in ${as.precision} with a loss in pieces; oursCareful: with ` +
  'checkpointing of layers too. TensorFlow’s own memory comes in addition'

/** The columns of a row. */
export type Ours = Readonly<Record<'oursBytes' | 'oursCarefulBytes', number>>

/**
 * The columns of a step for sizes of a batch: each plan is made once, for all sizes.
 * @example (await oursOf(step, own)({ batch: 2, seq: 512 })).oursBytes
 */
export const oursOf = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  own: Readonly<Record<string, number>>,
): ((sizes: BatchSizes) => Promise<Ours>) => {
  let made: { readonly plain: Foresight; readonly careful: Foresight } | undefined
  return async sizes => {
    made ??= {
      plain: await foresee(step, as),
      careful: await foresee(step, { ...as, compiler: { recompute: 'all' } }),
    }
    const bytes = ({ certificate }: Foresight): number => certificate({ ...own, ...sizes }).total
    return { oursBytes: bytes(made.plain), oursCarefulBytes: bytes(made.careful) }
  }
}

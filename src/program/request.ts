import type { MethodChoice } from './method.ts'
import type { OptimizerChoice, ScheduleName } from '../train/index.ts'
import type { RunOptions } from './pretrained.ts'

/** What `partensor finetune` is asked; see its `--help`. */
export interface FinetuneOptions extends RunOptions, MethodChoice, OptimizerChoice {
  readonly model: string
  readonly data: string
  readonly eval?: string | undefined
  /** The directory of an adapter to go on from. */
  readonly adapter?: string | undefined
  /** Steps over which selection by gradient sums. */
  readonly selectSteps?: number | undefined
  /** Saves the optimizer's moments beside the adapter, so that a later run goes on with them. */
  readonly saveOptimizer?: boolean | undefined
  readonly steps?: number | undefined
  readonly epochs?: number | undefined
  readonly batch: number
  readonly seq?: number | undefined
  readonly accumulate: number
  readonly shuffle: boolean
  readonly schedule: ScheduleName
  readonly warmup: number
  readonly out: string
}

import type { MethodChoice } from './method.ts'
import type { OptimizerChoice, ScheduleName } from '../train/index.ts'
import type { MemoryOptions, RunOptions } from './pretrained.ts'
import type { ReadOptions } from './source.ts'

/** The options of `partensor finetune`; see its `--help`. */
export interface FinetuneOptions extends RunOptions, MemoryOptions, MethodChoice, OptimizerChoice, ReadOptions {
  readonly model: string
  readonly data: string
  readonly eval?: string | undefined
  /** The directory of an adapter to continue from. */
  readonly adapter?: string | undefined
  /** The steps over which selection by gradient sums. */
  readonly selectSteps?: number | undefined
  /** Saves the optimizer's moments with the adapter, so that a later run can continue with them. */
  readonly saveOptimizer?: boolean | undefined
  readonly steps?: number | undefined
  readonly epochs?: number | undefined
  readonly batch: number
  readonly accumulate: number
  readonly shuffle: boolean
  readonly schedule: ScheduleName
  readonly warmup: number
  /** True if training leaves the running statistics of batch norms as they are. */
  readonly frozenStatistics?: boolean | undefined
  readonly out: string
  /** The steps between two checkpoints; without it there are none. */
  readonly saveEvery?: number | undefined
  /** Goes on from the last checkpoint of this run, if there is one. */
  readonly resume?: boolean | undefined
}

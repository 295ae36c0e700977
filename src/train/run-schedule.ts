import { add, integer, interpret, scalar, cast } from '../tensor/index.ts'
import { constant, join, linear, warmupCosine, type Schedule } from '../tune/index.ts'

/** The schedules that the command line offers. */
export const scheduleNames = ['constant', 'linear', 'cosine'] as const
export type ScheduleName = (typeof scheduleNames)[number]

export interface ScheduleOptions {
  readonly schedule: ScheduleName
  /** The highest rate, reached at the end of warm-up. */
  readonly lr: number
  /** Warm-up steps; fewer than `steps`. */
  readonly warmup: number
  /** Steps of the whole run. */
  readonly steps: number
}

const decay = ({ schedule, lr, warmup, steps }: ScheduleOptions): Schedule => {
  if (schedule === 'cosine') return warmupCosine({ peak: lr, warmup, total: steps })
  const after = schedule === 'constant' ? constant(lr) : linear({ init: lr, end: 0, steps: steps - warmup })
  return warmup === 0 ? after : join(linear({ init: 0, end: lr, steps: warmup }), warmup, after)
}

/**
 * The learning rate of a run, evaluated at step k = 1..N: the first of w warm-up steps has lr/w, linear and cosine end
 * at 0 on step N. Transforms count from 0, as in optax, so the schedule is shifted by one.
 * @example adamw({ lr: runSchedule({ schedule: 'cosine', lr: 1e-4, warmup: 10, steps: 200 }) })
 */
export const runSchedule = (options: ScheduleOptions): Schedule => {
  const rate = decay(options)
  return count => rate(add(count, scalar(1)))
}

/** The value of a schedule at step k, counted from 1. @example rateAt(runSchedule(options), 1) */
export const rateAt = (schedule: Schedule, step: number): number =>
  interpret([schedule(cast(integer(step - 1), 'f32'))], new Map(), Number)[0]!.data[0]!

import { add, integer, interpret, scalar, cast } from '../tensor/index.ts'
import {
  constant,
  cosine,
  join,
  linear,
  polynomial,
  restarts,
  warmupStableDecay,
  type Schedule,
} from '../tune/index.ts'

/** A schedule from its highest rate, over the steps after the warm-up. */
type Decay = (lr: number, steps: number) => Schedule

/** The cycles of `restarts`: none of them is empty. */
const cycles = (steps: number): readonly number[] => {
  const count = Math.min(4, steps)
  const starts = Array.from({ length: count + 1 }, (_, i) => Math.round((i * steps) / count))
  return starts.slice(1).map((end, i) => end - starts[i]!)
}

/** The schedules that the command line offers. All but `constant` end at 0. */
const decays = {
  'constant': lr => constant(lr),
  'linear': (lr, steps) => linear({ init: lr, end: 0, steps }),
  'cosine': (lr, steps) => cosine({ init: lr, steps }),
  'polynomial': (lr, steps) => polynomial({ init: lr, end: 0, power: 2, steps }),
  'restarts': (lr, steps) => restarts(cycles(steps).map(total => ({ peak: lr, warmup: 0, total }))),
  // the last fifth falls
  'stable-decay': (lr, steps) => {
    const decay = Math.ceil(steps / 5)
    return warmupStableDecay({ peak: lr, warmup: 0, stable: steps - decay, decay })
  },
} as const satisfies Readonly<Record<string, Decay>>
export type ScheduleName = keyof typeof decays
/** The names of the schedules that the command line offers. */
export const scheduleNames = Object.keys(decays) as readonly ScheduleName[]

export interface ScheduleOptions {
  readonly schedule: ScheduleName
  /** The highest rate, reached at the end of warm-up. */
  readonly lr: number
  /** Warm-up steps; fewer than `steps`. */
  readonly warmup: number
  /** Steps of the whole run. */
  readonly steps: number
}

const rateOf = ({ schedule, lr, warmup, steps }: ScheduleOptions): Schedule => {
  const after = decays[schedule](lr, steps - warmup)
  return warmup === 0 ? after : join(linear({ init: 0, end: lr, steps: warmup }), warmup, after)
}

/**
 * The learning rate of a run, evaluated at step k = 1..N: the first of w warm-up steps has lr/w, all schedules but the
 * constant one end at 0 on step N. Transforms count from 0, as in optax, so the schedule is shifted by one.
 * @example adamw({ lr: runSchedule({ schedule: 'cosine', lr: 1e-4, warmup: 10, steps: 200 }) })
 */
export const runSchedule = (options: ScheduleOptions): Schedule => {
  const rate = rateOf(options)
  return count => rate(add(count, scalar(1)))
}

/** The value of a schedule at step k, counted from 1. @example rateAt(runSchedule(options), 1) */
export const rateAt = (schedule: Schedule, step: number): number =>
  interpret([schedule(cast(integer(step - 1), 'f32'))], new Map(), Number)[0]!.data[0]!

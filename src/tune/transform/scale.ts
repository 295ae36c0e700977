import { add, cast, integer, mul, u, type Node } from '../../tensor/index.ts'
import { combine, zerosLike } from './leafwise.ts'
import type { LearningRate, Schedule } from './schedule.ts'
import { negative, setting, type Setting } from './setting.ts'
import { stateless, type Counted, type Stateless, type Transform } from './transform.ts'

const scaleBy = (factor: Node | number): Transform<Stateless> => stateless(grad => combine(g => u.mul(g, factor), grad))

/** factor · g. Source: `optax.scale`. @example scale(0.1) */
export const scale = (given: Setting): Transform<Stateless> => scaleBy(setting('scale: the factor', given))

/** 0: with `masked`, freezes the leaves that it applies to. Source: `optax.set_to_zero`. */
export const setToZero: Transform<Stateless> = stateless(grad => zerosLike(grad))

/** schedule(count) · g, with count the number of updates before this one. Source: `optax.scale_by_schedule`. */
export const scaleBySchedule = (schedule: Schedule): Transform<Counted> => ({
  init: () => ({ count: integer(0) }),
  update: (grad, { count }) => {
    const factor = schedule(cast(count, 'f32'))
    return [combine(g => u.mul(g, factor), grad), { count: add(count, integer(1)) }]
  },
})

/** The state of a learning rate: none for a number, the count for a schedule. */
export type Rate<L extends LearningRate> = L extends Setting ? Stateless : Counted

/**
 * −lr · g: descent. Source: `optax.scale_by_learning_rate`.
 * @example scaleByLearningRate(linear({ init: 0.1, end: 0, steps: 20 }))
 */
export const scaleByLearningRate = <L extends LearningRate>(lr: L): Transform<Rate<L>> => {
  const rate: LearningRate = lr
  // the conditional type makes the same distinction
  return (
    typeof rate === 'function'
      ? scaleBySchedule(count => mul(rate(count), -1))
      : scaleBy(negative(setting('the learning rate lr', rate, { from: 0 })))
  ) as Transform<Rate<L>>
}

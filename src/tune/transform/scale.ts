import { add, cast, integer, mul, u } from '../../tensor/index.ts'
import { combine, zerosLike } from './leafwise.ts'
import type { LearningRate, Schedule } from './schedule.ts'
import { setting } from './setting.ts'
import { stateless, type Counted, type Stateless, type Transform } from './transform.ts'

/** factor · g. Source: `optax.scale`. */
export const scale = (given: number): Transform<Stateless> => {
  const factor = setting('scale: the factor', given)
  return stateless(grad => combine(g => u.mul(g, factor), grad))
}

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
export type Rate<L extends LearningRate> = L extends number ? Stateless : Counted

/**
 * −lr · g: descent. Source: `optax.scale_by_learning_rate`.
 * @example scaleByLearningRate(linear({ init: 0.1, end: 0, steps: 20 }))
 */
export const scaleByLearningRate = <L extends LearningRate>(lr: L): Transform<Rate<L>> => {
  const rate: LearningRate = typeof lr === 'function' ? lr : setting('the learning rate lr', lr, { from: 0 })
  // the conditional type makes the same distinction
  return (typeof rate === 'number' ? scale(-rate) : scaleBySchedule(count => mul(rate(count), -1))) as Transform<
    Rate<L>
  >
}

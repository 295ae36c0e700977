import type { Step, StateOf } from '../compile/index.ts'
import type { Model } from '../tensor/index.ts'
import { focus, full, type Fn, type Full, type MaskOf, type Transform, type Tuned } from '../tune/index.ts'

/** The options of a step. */
export interface StepOptions {
  /** The seed of what the model drops out; by default that of the method, if it draws random numbers, or 0. */
  readonly seed?: number
}

/** Tells users who write no types what is missing. */
const checkStep = (of: unknown, transform: unknown, { seed }: StepOptions): void => {
  const has = (thing: unknown, key: string): boolean => typeof thing === 'object' && thing !== null && key in thing
  if (!has(of, 'forward') && !(has(of, 'model') && has(of, 'mask')))
    throw new RangeError('trainStep takes a model, or a tuned model: adapt(model, paca({ … }))')
  if (!has(transform, 'init') || !has(transform, 'update'))
    throw new RangeError('trainStep takes a gradient transform: adamw({ lr: 1e-3 })')
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw new RangeError(`a seed is a safe integer, not ${seed}`)
}

const whole = full({ targets: ['all'] })
/** The mask that trains every parameter that is a real number. */
export type TrainedWhole<P> = MaskOf<Full<'all'>, P>

/**
 * The pure training step of a model under a gradient transform: (params, state, batches) => (params, state, loss). Of a
 * model, every parameter that is a real number is trained. Of a tuned model, the gradient, the state and the updates
 * exist for the focus of the mask only. What the model drops out by `dropout(x, rate)` follows from the seed and the
 * number of the micro-batch.
 * @example const step = trainStep(adapt(model, paca({ targets: ['q_proj'], rank: 8, seed: 0 })), adamw({ lr: 1e-4 }))
 */
export function trainStep<P, B, O, K extends string, U, F extends Fn>(
  model: Model<P, B, O, K, U>,
  transform: Transform<F>,
  options?: StepOptions,
): Step<P, P, TrainedWhole<P>, StateOf<F, P, TrainedWhole<P>>, B, O, K, U>
export function trainStep<P, Q, M, B, O, K extends string, U, F extends Fn>(
  tuned: Tuned<P, Q, M, B, O, K, U>,
  transform: Transform<F>,
  options?: StepOptions,
): Step<P, Q, M, StateOf<F, Q, M>, B, O, K, U>
export function trainStep<P, Q, M, B, O, K extends string, U, F extends Fn>(
  of: Model<P, B, O, K, U> | Tuned<P, Q, M, B, O, K, U>,
  transform: Transform<F>,
  options: StepOptions = {},
):
  | Step<P, P, TrainedWhole<P>, StateOf<F, P, TrainedWhole<P>>, B, O, K, U>
  | Step<P, Q, M, StateOf<F, Q, M>, B, O, K, U> {
  checkStep(of, transform, options)
  return 'forward' in of
    ? stepOf({ method: whole.name, model: of, ...whole.apply(of.params) }, transform, options)
    : stepOf(of, transform, options)
}

const stepOf = <P, Q, M, B, O, K extends string, U, F extends Fn>(
  tuned: Tuned<P, Q, M, B, O, K, U>,
  transform: Transform<F>,
  { seed }: StepOptions,
): Step<P, Q, M, StateOf<F, Q, M>, B, O, K, U> => ({
  tuned,
  ...(seed === undefined ? {} : { seed }),
  state: transform.init(focus(tuned.params, tuned.mask)),
  ...(transform.check === undefined ? {} : { check: transform.check }),
  update: (gradient, state, part, value) => transform.update(gradient, state, part, { value, gradient }),
})

import type { Step, StateOf } from '../compile/index.ts'
import type { Shape } from '../tensor/index.ts'
import { focus, type Fn, type Transform, type Tuned } from '../tune/index.ts'

/** Tells users who write no types what is missing. */
const checkStep = (tuned: unknown, transform: unknown): void => {
  const has = (of: unknown, key: string): boolean => typeof of === 'object' && of !== null && key in of
  if (!has(tuned, 'model') || !has(tuned, 'mask'))
    throw new RangeError('trainStep takes a tuned model: adapt(model, paca({ … }))')
  if (!has(transform, 'init') || !has(transform, 'update'))
    throw new RangeError('trainStep takes a gradient transform: adamw({ lr: 1e-3 })')
}

/**
 * The pure training step of a tuned model under a gradient transform: (params, state, batches) => (params, state,
 * loss). The gradient, the state and the updates exist for the focus of the mask only.
 * @example const step = trainStep(adapt(model, paca({ targets: ['q_proj'], rank: 8, seed: 0 })), adamw({ lr: 1e-4 }))
 */
export const trainStep = <P, Q, M, B, L extends Shape, F extends Fn>(
  tuned: Tuned<P, Q, M, B, L>,
  transform: Transform<F>,
): Step<P, Q, M, StateOf<F, Q, M>, B, L> => (
  checkStep(tuned, transform),
  {
    tuned,
    state: transform.init(focus(tuned.params, tuned.mask)),
    update: (gradient, state, part, value) => transform.update(gradient, state, part, { value, gradient }),
  }
)

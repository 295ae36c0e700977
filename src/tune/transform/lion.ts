import { u } from '../../tensor/index.ts'
import { decayed, type Decay, type Decayed } from './descent.ts'
import { combine, zerosLike } from './leafwise.ts'
import { follow, type Moments } from './moment.ts'
import type { LearningRate } from './schedule.ts'
import { setting } from './setting.ts'
import type { Fn, Transform } from './transform.ts'

/** The state of Lion: one moment for each leaf of the focus, half the size of Adam's. */
export interface LionState<G> {
  readonly mu: G
}
export interface ScaleByLion extends Fn {
  readonly out: LionState<this['in']>
}
export type LionOptions = Omit<Moments, 'eps'>
/** The default settings of {@link lion}, from the paper. */
export const lionDefaults = { b1: 0.9, b2: 0.99 } as const satisfies Required<LionOptions>

/**
 * The update is sign(b1 m + (1 − b1) g), then m ← b2 m + (1 − b2) g. Source: `optax.scale_by_lion`; Chen et al. 2023,
 * algorithm 2.
 */
export const scaleByLion = ({
  b1 = lionDefaults.b1,
  b2 = lionDefaults.b2,
}: LionOptions = {}): Transform<ScaleByLion> => {
  setting('lion: b1', b1, { from: 0, below: 1 })
  setting('lion: b2', b2, { from: 0, below: 1 })
  return {
    init: params => ({ mu: zerosLike(params) }),
    update: (grad, { mu }) => [combine(u.sign, follow(b1, mu, grad)), { mu: follow(b2, mu, grad) }],
  }
}

/** The state of {@link lion}. */
export type Lion<L extends LearningRate> = Decayed<ScaleByLion, L>
/**
 * Lion with decoupled weight decay: −lr (sign(b1 m + (1 − b1) g) + weightDecay · p). Every number of the focus moves by
 * about lr, so a rate three to ten times lower than AdamW's is usual. Source: `optax.lion`; Chen et al. 2023, "Symbolic
 * discovery of optimization algorithms".
 * @example lion({ lr: 1e-5, weightDecay: 0.1 })
 */
export const lion = <L extends LearningRate>({
  lr,
  weightDecay = 1e-3,
  ...moments
}: LionOptions & Decay<L>): Transform<Lion<L>> => decayed(scaleByLion(moments), weightDecay, lr)

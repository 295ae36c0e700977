import { u } from '../../tensor/index.ts'
import { chain, type Chain } from './chain.ts'
import { addDecayedWeights } from './decay.ts'
import { combine, zerosLike } from './leafwise.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import { setting } from './setting.ts'
import type { Fn, Stateless, Transform } from './transform.ts'

/** The state of Lion: one moment for each leaf of the focus, half the size of Adam's. */
export interface LionState<G> {
  readonly mu: G
}
export interface ScaleByLion extends Fn {
  readonly out: LionState<this['in']>
}
export interface LionOptions {
  readonly b1?: number
  readonly b2?: number
}
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
    update: (grad, { mu }) => {
      const towards = (b: number): typeof grad => combine((m, g) => u.add(u.mul(m, b), u.mul(g!, 1 - b)), mu, grad)
      return [combine(u.sign, towards(b1)), { mu: towards(b2) }]
    },
  }
}

/** The state of {@link lion}. */
export type Lion<L extends LearningRate> = Chain<readonly [ScaleByLion, Stateless, Rate<L>]>
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
}: LionOptions & { readonly lr: L; readonly weightDecay?: number }): Transform<Lion<L>> =>
  chain<readonly [ScaleByLion, Stateless, Rate<L>]>(
    scaleByLion(moments),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(lr),
  )

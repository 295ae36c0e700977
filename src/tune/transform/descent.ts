import { chain, type Chain } from './chain.ts'
import { addDecayedWeights } from './decay.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import type { Setting } from './setting.ts'
import type { Fn, Stateless, Transform } from './transform.ts'

/** The state of an optimizer: that of its core, followed by that of the rate. */
export type Descent<F extends Fn, L extends LearningRate> = Chain<readonly [F, Rate<L>]>
/** −lr · core(g). */
export const descent = <F extends Fn, L extends LearningRate>(core: Transform<F>, lr: L): Transform<Descent<F, L>> =>
  chain<readonly [F, Rate<L>]>(core, scaleByLearningRate(lr))

/** A rate, and a weight decay that is decoupled from the gradient. */
export interface Decay<L extends LearningRate> {
  readonly lr: L
  readonly weightDecay?: Setting
}
/** The state of an optimizer with decoupled weight decay. */
export type Decayed<F extends Fn, L extends LearningRate> = Chain<readonly [F, Stateless, Rate<L>]>
/** −lr (core(g) + weightDecay · p). */
export const decayed = <F extends Fn, L extends LearningRate>(
  core: Transform<F>,
  weightDecay: Setting,
  lr: L,
): Transform<Decayed<F, L>> =>
  chain<readonly [F, Stateless, Rate<L>]>(core, addDecayedWeights(weightDecay), scaleByLearningRate(lr))

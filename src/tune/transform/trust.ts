import { u } from '../../tensor/index.ts'
import { scaleByAdam, type ScaleByAdam } from './adam.ts'
import { chain, type Chain } from './chain.ts'
import { addDecayedWeights } from './decay.ts'
import { type Decay } from './descent.ts'
import { combine, normOf } from './leafwise.ts'
import type { Moments } from './moment.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import { trace, type Trace } from './trace.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

export interface TrustRatio {
  readonly coefficient?: Setting
  readonly eps?: Setting
}
/**
 * coefficient ‖p‖ / (‖g‖ + eps) · g, leaf by leaf: the length of an update is in proportion to that of its leaf. An
 * update or a leaf of zeros is unchanged. Source: `optax.scale_by_trust_ratio`; You et al. 2020.
 * @example chain(scaleByAdam(), scaleByTrustRatio(), scaleByLearningRate(1e-3))
 */
export const scaleByTrustRatio = ({ coefficient = 1, eps = 0 }: TrustRatio = {}): Transform<Stateless> => (
  setting('scaleByTrustRatio: coefficient', coefficient, { above: 0 }),
  setting('scaleByTrustRatio: eps', eps, { from: 0 }),
  stateless((grad, params) =>
    combine(
      (g, p) => {
        const [length, size] = [normOf(g), normOf(p!)]
        const ratio = u.div(u.mul(size, coefficient), u.add(length, eps))
        return u.mul(g, u.select(u.or(u.equal(size, 0), u.equal(length, 0)), 1, ratio))
      },
      grad,
      params,
    ),
  )
)

/** The state of {@link lamb}. */
export type Lamb<L extends LearningRate> = Chain<readonly [ScaleByAdam, Stateless, Stateless, Rate<L>]>
/**
 * Adam with decoupled weight decay, times the trust ratio of each leaf: for large batches. Source: `optax.lamb`; You et
 * al. 2020.
 * @example lamb({ lr: 1e-3, weightDecay: 0.01 })
 */
export const lamb = <L extends LearningRate>({
  lr,
  weightDecay = 0,
  eps = 1e-6,
  ...moments
}: Moments & Decay<L>): Transform<Lamb<L>> =>
  chain<readonly [ScaleByAdam, Stateless, Stateless, Rate<L>]>(
    scaleByAdam({ ...moments, eps }),
    addDecayedWeights(weightDecay),
    scaleByTrustRatio(),
    scaleByLearningRate(lr),
  )

export interface LarsOptions<L extends LearningRate> extends TrustRatio, Decay<L> {
  readonly momentum?: Setting
  readonly nesterov?: boolean
}
/** The state of {@link lars}. */
export type Lars<L extends LearningRate> = Chain<readonly [Stateless, Stateless, Rate<L>, Trace]>
/**
 * Gradient descent with momentum, times the trust ratio of each leaf: for large batches of images. Source: `optax.lars`;
 * You et al. 2017.
 * @example lars({ lr: 0.1, momentum: 0.9, weightDecay: 1e-4 })
 */
export const lars = <L extends LearningRate>({
  lr,
  weightDecay = 0,
  coefficient = 0.001,
  eps = 0,
  momentum = 0.9,
  nesterov = false,
}: LarsOptions<L>): Transform<Lars<L>> =>
  chain<readonly [Stateless, Stateless, Rate<L>, Trace]>(
    addDecayedWeights(weightDecay),
    scaleByTrustRatio({ coefficient, eps }),
    scaleByLearningRate(lr),
    trace({ decay: momentum, nesterov }),
  )

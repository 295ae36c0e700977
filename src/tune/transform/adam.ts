import { add, cast, div, integer, mul, tanh, u, type Tensor } from '../../tensor/index.ts'
import { chain, type Chain } from './chain.ts'
import { addDecayedWeights } from './decay.ts'
import { combine, zerosLike } from './leafwise.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import { setting } from './setting.ts'
import type { Count, Fn, Stateless, Transform } from './transform.ts'

/** The state of Adam: both moments for each leaf of the focus, and the number of updates. */
export interface AdamState<G> {
  readonly mu: G
  readonly nu: G
  readonly count: Count
}
export interface ScaleByAdam extends Fn {
  readonly out: AdamState<this['in']>
}
export interface Moments {
  readonly b1?: number
  readonly b2?: number
  readonly eps?: number
}
/** The default settings of Adam. */
export const adamDefaults = { b1: 0.9, b2: 0.999, eps: 1e-8 } as const satisfies Required<Moments>

/**
 * 1 − bⁿ = 2t / (1 + t) with t = tanh(−n ln b / 2): the difference itself would lose digits in float32 while bⁿ is near
 * 1. b is the float32 nearest to the setting, because float32 moments decay by that number, here as in optax.
 */
const correction = (b: number, n: Tensor<readonly []>): Tensor<readonly []> => {
  const t = tanh(mul(n, -Math.log(Math.fround(b)) / 2))
  return div(mul(t, 2), add(t, 1))
}

/**
 * m ← b1 m + (1 − b1) g, v ← b2 v + (1 − b2) g²; the update is m̂ / (√v̂ + eps) with m̂ = m / (1 − b1ⁿ), v̂ = v / (1 −
 * b2ⁿ), n = count + 1. Source: `optax.scale_by_adam`; Kingma and Ba 2015.
 */
export const scaleByAdam = ({
  b1 = adamDefaults.b1,
  b2 = adamDefaults.b2,
  eps = adamDefaults.eps,
}: Moments = {}): Transform<ScaleByAdam> => {
  setting('adam: b1', b1, { from: 0, below: 1 })
  setting('adam: b2', b2, { from: 0, below: 1 })
  setting('adam: eps', eps, { from: 0 })
  return {
    init: params => ({ mu: zerosLike(params), nu: zerosLike(params), count: integer(0) }),
    update: (grad, state) => {
      const count = add(state.count, integer(1))
      const n = cast(count, 'f32')
      const first = correction(b1, n)
      const second = correction(b2, n)
      const mu = combine((m, g) => u.add(u.mul(m, b1), u.mul(g!, 1 - b1)), state.mu, grad)
      const nu = combine((v, g) => u.add(u.mul(v, b2), u.mul(u.mul(g!, g!), 1 - b2)), state.nu, grad)
      return [
        combine((m, v) => u.div(u.div(m, first), u.add(u.sqrt(u.div(v!, second)), eps)), mu, nu),
        { mu, nu, count },
      ]
    },
  }
}

/** The state of {@link adam}. */
export type Adam<L extends LearningRate> = Chain<readonly [ScaleByAdam, Rate<L>]>
/** Adam: {@link scaleByAdam}, then −lr. Source: `optax.adam`. @example adam({ lr: 1e-3 }) */
export const adam = <L extends LearningRate>({ lr, ...moments }: Moments & { readonly lr: L }): Transform<Adam<L>> =>
  chain<readonly [ScaleByAdam, Rate<L>]>(scaleByAdam(moments), scaleByLearningRate(lr))

/** The state of {@link adamw}. */
export type AdamW<L extends LearningRate> = Chain<readonly [ScaleByAdam, Stateless, Rate<L>]>
/**
 * Adam with decoupled weight decay: −lr (adam(g) + weightDecay · p), over every leaf of the focus. Source:
 * `optax.adamw`; Loshchilov and Hutter 2019.
 * @example adamw({ lr: warmupCosine({ peak: 1e-4, warmup: 10, total: 200 }), weightDecay: 0.01 })
 */
export const adamw = <L extends LearningRate>({
  lr,
  weightDecay = 1e-4,
  ...moments
}: Moments & { readonly lr: L; readonly weightDecay?: number }): Transform<AdamW<L>> =>
  chain<readonly [ScaleByAdam, Stateless, Rate<L>]>(
    scaleByAdam(moments),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(lr),
  )

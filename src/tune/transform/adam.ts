import { add, integer, u, type Tensor } from '../../tensor/index.ts'
import { decayed, descent, type Decay, type Decayed, type Descent } from './descent.ts'
import { combine, zerosLike } from './leafwise.ts'
import { correction, counted, follow, over, squares, type Moments } from './moment.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import type { Count, Fn, Transform } from './transform.ts'

/** The state of Adam: both moments for each leaf of the focus, and the number of updates. */
export interface AdamState<G> {
  readonly mu: G
  readonly nu: G
  readonly count: Count
}
export interface ScaleByAdam extends Fn {
  readonly out: AdamState<this['in']>
}
/** The default settings of Adam. */
export const adamDefaults = { b1: 0.9, b2: 0.999, eps: 1e-8 } as const satisfies Required<Moments>

/** Checks the settings of two means. @throws {RangeError} for one that is out of its range */
export const momentSettings = (name: string, { b1, b2, eps }: Required<Moments>): void => {
  setting(`${name}: b1`, b1, { from: 0, below: 1 })
  setting(`${name}: b2`, b2, { from: 0, below: 1 })
  setting(`${name}: eps`, eps, { from: 0 })
}

export interface AdamOptions extends Moments {
  /** Looks one update ahead, as Nesterov's momentum does: NAdam (default: false). */
  readonly nesterov?: boolean
}

/**
 * The mean of gradients that a step of Adam follows: m̂ = m / (1 − b1ⁿ), or with Nesterov's correction
 * b1 m / (1 − b1ⁿ⁺¹) + (1 − b1) g / (1 − b1ⁿ).
 */
export const ahead = <G>(nesterov: boolean, b1: Setting, n: Tensor<readonly []>, mu: G, grad: G): G =>
  nesterov
    ? follow(b1, over(mu, correction(b1, add(n, 1))), over(grad, correction(b1, n)))
    : over(mu, correction(b1, n))

/**
 * m ← b1 m + (1 − b1) g, v ← b2 v + (1 − b2) g²; the update is m̂ / (√v̂ + eps) with m̂ = m / (1 − b1ⁿ), v̂ = v / (1 −
 * b2ⁿ), n = count + 1. Source: `optax.scale_by_adam`; Kingma and Ba 2015.
 * @example chain(scaleByAdam({ b2: 0.95 }), scaleByLearningRate(1e-4))
 */
export const scaleByAdam = ({
  b1 = adamDefaults.b1,
  b2 = adamDefaults.b2,
  eps = adamDefaults.eps,
  nesterov = false,
}: AdamOptions = {}): Transform<ScaleByAdam> => {
  momentSettings('adam', { b1, b2, eps })
  return {
    init: params => ({ mu: zerosLike(params), nu: zerosLike(params), count: integer(0) }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const mu = follow(b1, state.mu, grad)
      const nu = follow(b2, state.nu, squares(grad))
      const second = correction(b2, n)
      return [
        combine((m, v) => u.div(m, u.add(u.sqrt(u.div(v!, second)), eps)), ahead(nesterov, b1, n, mu, grad), nu),
        { mu, nu, count },
      ]
    },
  }
}

/** The state of {@link adam}. */
export type Adam<L extends LearningRate> = Descent<ScaleByAdam, L>
/** Adam: {@link scaleByAdam}, then −lr. Source: `optax.adam`. @example adam({ lr: 1e-3 }) */
export const adam = <L extends LearningRate>({ lr, ...moments }: Moments & { readonly lr: L }): Transform<Adam<L>> =>
  descent(scaleByAdam(moments), lr)

/** Adam that looks one update ahead. Source: `optax.nadam`; Dozat 2016. @example nadam({ lr: 1e-3 }) */
export const nadam = <L extends LearningRate>({ lr, ...moments }: Moments & { readonly lr: L }): Transform<Adam<L>> =>
  descent(scaleByAdam({ ...moments, nesterov: true }), lr)

/** The state of {@link adamw}. */
export type AdamW<L extends LearningRate> = Decayed<ScaleByAdam, L>
/**
 * Adam with decoupled weight decay: −lr (adam(g) + weightDecay · p), over every leaf of the focus. Source:
 * `optax.adamw`; Loshchilov and Hutter 2019.
 * @example adamw({ lr: warmupCosine({ peak: 1e-4, warmup: 10, total: 200 }), weightDecay: 0.01 })
 */
export const adamw = <L extends LearningRate>({
  lr,
  weightDecay = 1e-4,
  ...moments
}: Moments & Decay<L>): Transform<AdamW<L>> => decayed(scaleByAdam(moments), weightDecay, lr)

/** NAdam with decoupled weight decay. Source: `optax.nadamw`. @example nadamw({ lr: 1e-4, weightDecay: 0.01 }) */
export const nadamw = <L extends LearningRate>({
  lr,
  weightDecay = 1e-4,
  ...moments
}: Moments & Decay<L>): Transform<AdamW<L>> => decayed(scaleByAdam({ ...moments, nesterov: true }), weightDecay, lr)

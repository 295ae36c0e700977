import { u } from '../../tensor/index.ts'
import { descent, type Descent } from './descent.ts'
import { combine, zerosLike } from './leafwise.ts'
import { follow, squares } from './moment.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import type { Fn, Transform } from './transform.ts'

// Gradients over the root of what their squares have been: a mean of them, or their sum.

/** The state of {@link scaleByRms}: a mean of squares for each leaf of the focus. */
export interface RmsState<G> {
  readonly nu: G
}
export interface ScaleByRms extends Fn {
  readonly out: RmsState<this['in']>
}
export interface RmsOptions {
  readonly decay?: Setting
  readonly eps?: Setting
}
/** The default settings of {@link rmsprop}. */
export const rmsDefaults = { decay: 0.9, eps: 1e-8 } as const satisfies Required<RmsOptions>
const rmsSettings = (name: string, { decay, eps }: Required<RmsOptions>): void => {
  setting(`${name}: decay`, decay, { from: 0, below: 1 })
  setting(`${name}: eps`, eps, { from: 0 })
}

/**
 * v ← decay v + (1 − decay) g²; the update is g / √(v + eps). Source: `optax.scale_by_rms`; Tieleman and Hinton 2012.
 * @example chain(scaleByRms({ decay: 0.99 }), scale(-1e-3))
 */
export const scaleByRms = ({
  decay = rmsDefaults.decay,
  eps = rmsDefaults.eps,
}: RmsOptions = {}): Transform<ScaleByRms> => (
  rmsSettings('rmsprop', { decay, eps }),
  {
    init: params => ({ nu: zerosLike(params) }),
    update: (grad, state) => {
      const nu = follow(decay, state.nu, squares(grad))
      return [combine((g, v) => u.mul(g, u.rsqrt(u.add(v!, eps))), grad, nu), { nu }]
    },
  }
)

/** The state of {@link rmsprop}. */
export type RmsProp<L extends LearningRate> = Descent<ScaleByRms, L>
/**
 * RMSProp: {@link scaleByRms}, then −lr. Momentum follows it: `chain(rmsprop({ lr }), trace({ decay }))`.
 * Source: `optax.rmsprop`; Tieleman and Hinton 2012.
 * @example rmsprop({ lr: 1e-3 })
 */
export const rmsprop = <L extends LearningRate>({
  lr,
  ...options
}: RmsOptions & { readonly lr: L }): Transform<RmsProp<L>> => descent(scaleByRms(options), lr)

/** The state of {@link scaleByStddev}: means of the gradient and of its squares. */
export interface StddevState<G> {
  readonly mu: G
  readonly nu: G
}
export interface ScaleByStddev extends Fn {
  readonly out: StddevState<this['in']>
}
/**
 * m and v are means of g and g²; the update is g / √(v − m² + eps), centered RMSProp. Source: `optax.scale_by_stddev`;
 * Hinton 2012, Graves 2013.
 * @example chain(scaleByStddev(), scaleByLearningRate(1e-3))
 */
export const scaleByStddev = ({
  decay = rmsDefaults.decay,
  eps = rmsDefaults.eps,
}: RmsOptions = {}): Transform<ScaleByStddev> => (
  rmsSettings('scaleByStddev', { decay, eps }),
  {
    init: params => ({ mu: zerosLike(params), nu: zerosLike(params) }),
    update: (grad, state) => {
      const mu = follow(decay, state.mu, grad)
      const nu = follow(decay, state.nu, squares(grad))
      return [combine((g, m, v) => u.mul(g, u.rsqrt(u.add(u.sub(v!, u.mul(m!, m!)), eps))), grad, mu, nu), { mu, nu }]
    },
  }
)

/** The state of {@link scaleByRss}: the sum of squares so far, without the initial one. */
export interface RssState<G> {
  readonly sum: G
}
export interface ScaleByRss extends Fn {
  readonly out: RssState<this['in']>
}
export interface RssOptions {
  /** The sum of squares before the first update. */
  readonly initial?: Setting
  readonly eps?: Setting
}
/** The default settings of {@link adagrad}. */
export const rssDefaults = { initial: 0.1, eps: 1e-7 } as const satisfies Required<RssOptions>
/**
 * s ← s + g²; the update is g / √(initial + s + eps), and 0 while initial + s is 0. Source: `optax.scale_by_rss`; Duchi
 * et al. 2011.
 * @example chain(scaleByRss(), scaleByLearningRate(0.1))
 */
export const scaleByRss = ({
  initial = rssDefaults.initial,
  eps = rssDefaults.eps,
}: RssOptions = {}): Transform<ScaleByRss> => (
  setting('adagrad: initial', initial, { from: 0 }),
  setting('adagrad: eps', eps, { from: 0 }),
  {
    init: params => ({ sum: zerosLike(params) }),
    update: (grad, state) => {
      const sum = combine((s, square) => u.add(s, square!), state.sum, squares(grad))
      return [
        combine(
          (g, s) => {
            const all = u.add(s!, initial)
            return u.select(u.less(0, all), u.mul(g, u.rsqrt(u.add(all, eps))), 0)
          },
          grad,
          sum,
        ),
        { sum },
      ]
    },
  }
)

/** The state of {@link adagrad}. */
export type AdaGrad<L extends LearningRate> = Descent<ScaleByRss, L>
/** AdaGrad: {@link scaleByRss}, then −lr. Source: `optax.adagrad`; Duchi et al. 2011. @example adagrad({ lr: 0.1 }) */
export const adagrad = <L extends LearningRate>({
  lr,
  ...options
}: RssOptions & { readonly lr: L }): Transform<AdaGrad<L>> => descent(scaleByRss(options), lr)

/** The state of {@link scaleByAdadelta}: means of squared gradients and of squared updates. */
export interface AdadeltaState<G> {
  readonly gradients: G
  readonly updates: G
}
export interface ScaleByAdadelta extends Fn {
  readonly out: AdadeltaState<this['in']>
}
/** The default settings of {@link adadelta}. */
const adadeltaDefaults = { decay: 0.9, eps: 1e-6 } as const satisfies Required<RmsOptions>
/**
 * v ← decay v + (1 − decay) g²; the update is Δ = g √(w + eps) / √(v + eps), then w ← decay w + (1 − decay) Δ². Source:
 * `optax.scale_by_adadelta`; Zeiler 2012.
 * @example chain(scaleByAdadelta(), scaleByLearningRate(1))
 */
export const scaleByAdadelta = ({
  decay = adadeltaDefaults.decay,
  eps = adadeltaDefaults.eps,
}: RmsOptions = {}): Transform<ScaleByAdadelta> => (
  rmsSettings('adadelta', { decay, eps }),
  {
    init: params => ({ gradients: zerosLike(params), updates: zerosLike(params) }),
    update: (grad, state) => {
      const gradients = follow(decay, state.gradients, squares(grad))
      const root = (x: Parameters<typeof u.sqrt>[0]) => u.sqrt(u.add(x, eps))
      const delta = combine((g, v, w) => u.mul(g, u.div(root(w!), root(v!))), grad, gradients, state.updates)
      return [delta, { gradients, updates: follow(decay, state.updates, squares(delta)) }]
    },
  }
)

/** The state of {@link adadelta}. */
export type Adadelta<L extends LearningRate> = Descent<ScaleByAdadelta, L>
/** Adadelta: {@link scaleByAdadelta}, then −lr. Source: `optax.adadelta`; Zeiler 2012. @example adadelta({ lr: 1 }) */
export const adadelta = <L extends LearningRate>({
  lr,
  ...options
}: RmsOptions & { readonly lr: L }): Transform<Adadelta<L>> => descent(scaleByAdadelta(options), lr)

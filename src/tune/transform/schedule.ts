import {
  add,
  cos,
  div,
  less,
  maximum,
  minimum,
  mul,
  pow,
  scalar,
  select,
  sub,
  type Tensor,
} from '../../tensor/index.ts'
import { setting } from './setting.ts'

type Scalar = Tensor<readonly []>
/**
 * The value of a setting at an update, counted from 0. It is a symbolic function, so that a run needs no new program
 * when the value changes.
 */
export type Schedule = (count: Scalar) => Scalar
/** A learning rate: a number, or a schedule. */
export type LearningRate = number | Schedule

/** A constant value. @example constant(1e-4) */
export const constant = (value: number): Schedule => (
  setting('constant: the value', value, { from: 0 }),
  () => scalar(value)
)

export interface Polynomial {
  readonly init: number
  readonly end: number
  readonly power: number
  readonly steps: number
  readonly begin?: number
}
/**
 * (init − end) (1 − c/steps)^power + end, with c = count − begin clamped to [0, steps].
 * Source: `optax.polynomial_schedule`.
 * @example polynomial({ init: 1e-3, end: 0, power: 2, steps: 100 })
 */
export const polynomial = ({ init, end, power, steps, begin = 0 }: Polynomial): Schedule => {
  setting("the schedule's init", init, { from: 0 })
  setting("the schedule's end", end, { from: 0 })
  setting("the schedule's power", power, { from: 0 })
  setting("the schedule's steps", steps, { above: 0 })
  setting("the schedule's begin", begin)
  return count => {
    const left = sub(scalar(1), div(minimum(maximum(sub(count, begin), 0), steps), steps))
    return add(mul(power === 1 ? left : pow(left, power), init - end), end)
  }
}

/**
 * From init to end in a straight line of `steps` updates, then end. Source: `optax.linear_schedule`.
 * @example linear({ init: 1e-4, end: 0, steps: 100 })
 */
export const linear = (o: Omit<Polynomial, 'power'>): Schedule => polynomial({ ...o, power: 1 })

export interface Cosine {
  readonly init: number
  readonly steps: number
  readonly alpha?: number
}
/**
 * init ((1 − alpha) (1 + cos(π c/steps)) / 2 + alpha), with c = min(count, steps).
 * Source: `optax.cosine_decay_schedule`; Loshchilov and Hutter 2017.
 * @example cosine({ init: 1e-3, steps: 100 })
 */
export const cosine = ({ init, steps, alpha = 0 }: Cosine): Schedule => {
  setting('cosine: init', init, { from: 0 })
  setting('cosine: steps', steps, { above: 0 })
  setting('cosine: alpha', alpha, { from: 0 })
  return count => {
    const wave = cos(mul(minimum(count, steps), Math.PI / steps))
    return add(mul(add(wave, 1), (init * (1 - alpha)) / 2), init * alpha)
  }
}

export interface Exponential {
  readonly init: number
  readonly steps: number
  readonly rate: number
}
/** init rate^(count/steps). Source: `optax.exponential_decay`. @example exponential({ init: 1e-3, steps: 100, rate: 0.5 }) */
export const exponential = ({ init, steps, rate }: Exponential): Schedule => {
  setting('exponential: init', init, { from: 0 })
  setting('exponential: steps', steps, { above: 0 })
  setting('exponential: rate', rate, { above: 0 })
  return count => mul(pow(scalar(rate), div(count, steps)), init)
}

export interface Piecewise {
  readonly init: number
  readonly scales: Readonly<Record<number, number>>
}
/**
 * init, multiplied by each scale from its count on. Source: `optax.piecewise_constant_schedule`.
 * @example piecewise({ init: 0.1, scales: { 100: 0.5, 200: 0.1 } })
 */
export const piecewise = ({ init, scales }: Piecewise): Schedule => {
  setting('piecewise: init', init, { from: 0 })
  for (const [at, factor] of Object.entries(scales)) {
    setting('piecewise: a count', Number(at), { from: 0 })
    setting(`piecewise: the scale at ${at}`, factor, { from: 0 })
  }
  return count =>
    Object.entries(scales).reduce(
      (value, [at, factor]) => select(less(count, Number(at)), value, mul(value, factor)),
      scalar(init),
    )
}

/**
 * `first` before count `at`, then `second`, counting from 0 again. Source: `optax.join_schedules`.
 * @example join(constant(1e-3), 100, cosine({ init: 1e-3, steps: 200 }))
 */
export const join = (first: Schedule, at: number, second: Schedule): Schedule => (
  setting('join: the count', at, { from: 0 }),
  count => select(less(count, at), first(count), second(maximum(sub(count, at), 0)))
)

export interface WarmupCosine {
  readonly peak: number
  readonly warmup: number
  readonly total: number
  readonly init?: number
  readonly end?: number
}
/**
 * From init to peak in a straight line of `warmup` updates, then along a cosine to end at count `total`.
 * Source: `optax.warmup_cosine_decay_schedule`.
 * @example adamw({ lr: warmupCosine({ peak: 1e-4, warmup: 10, total: 200 }) })
 */
export const warmupCosine = ({ peak, warmup, total, init = 0, end = 0 }: WarmupCosine): Schedule => {
  setting('warmupCosine: peak', peak, { from: 0 })
  setting('warmupCosine: warmup', warmup, { from: 0 })
  setting('warmupCosine: total', total, { above: warmup })
  setting('warmupCosine: init', init, { from: 0 })
  setting('warmupCosine: end', end, { from: 0 })
  const decay = cosine({ init: peak, steps: total - warmup, alpha: peak === 0 ? 0 : end / peak })
  return warmup === 0 ? decay : join(linear({ init, end: peak, steps: warmup }), warmup, decay)
}

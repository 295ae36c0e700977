import {
  add,
  cos,
  div,
  floor,
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
import { setting, type Setting } from './setting.ts'

type Scalar = Tensor<readonly []>
/**
 * The value of a setting at an update, counted from 0. It is a symbolic function, so that a run needs no new program
 * when the value changes.
 */
export type Schedule = (count: Scalar) => Scalar
/** A learning rate: a number, a scalar of the state, or a schedule. */
export type LearningRate = Setting | Schedule

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
  /** The power of the wave (default: 1). */
  readonly exponent?: number
}
/**
 * init ((1 − alpha) ((1 + cos(π c/steps)) / 2)^exponent + alpha), with c = min(count, steps).
 * Source: `optax.cosine_decay_schedule`; Loshchilov and Hutter 2017.
 * @example cosine({ init: 1e-3, steps: 100 })
 */
export const cosine = ({ init, steps, alpha = 0, exponent = 1 }: Cosine): Schedule => {
  setting('cosine: init', init, { from: 0 })
  setting('cosine: steps', steps, { above: 0 })
  setting('cosine: alpha', alpha, { from: 0 })
  setting('cosine: exponent', exponent, { from: 0 })
  return count => {
    const wave = mul(add(cos(mul(minimum(count, steps), Math.PI / steps)), 1), 0.5)
    // the cosine of π may be below −1 by rounding
    const bent = exponent === 1 ? wave : pow(maximum(wave, 0), exponent)
    return add(mul(bent, init * (1 - alpha)), init * alpha)
  }
}

export interface Exponential {
  readonly init: number
  readonly steps: number
  readonly rate: number
  /** The count from which on the value falls (default: 0). */
  readonly begin?: number
  /** Falls once in `steps` updates, not a little in each (default: false). */
  readonly stairs?: boolean
  /** The value at which it stops. */
  readonly end?: number
}
/**
 * init rate^(c/steps), with c = max(count − begin, 0). Source: `optax.exponential_decay`.
 * @example exponential({ init: 1e-3, steps: 100, rate: 0.5 })
 */
export const exponential = ({ init, steps, rate, begin = 0, stairs = false, end }: Exponential): Schedule => {
  setting('exponential: init', init, { from: 0 })
  setting('exponential: steps', steps, { above: 0 })
  setting('exponential: rate', rate, { above: 0 })
  setting('exponential: begin', begin, { from: 0 })
  if (end !== undefined) setting('exponential: end', end, { from: 0 })
  return count => {
    const passed = div(begin === 0 ? count : maximum(sub(count, begin), 0), steps)
    const value = mul(pow(scalar(rate), stairs ? floor(passed) : passed), init)
    return end === undefined ? value : rate < 1 ? maximum(value, end) : minimum(value, end)
  }
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

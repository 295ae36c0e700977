import { add, cos, div, less, maximum, minimum, mul, scalar, select, sub } from '../../tensor/index.ts'
import { constant, cosine, exponential, join, linear, type Exponential, type Schedule } from './schedule.ts'
import { setting } from './setting.ts'

// Schedules of several phases.

/** A schedule after a straight line of `warmup` updates from init to peak. */
const after = (init: number, peak: number, warmup: number, then: Schedule): Schedule =>
  warmup === 0 ? then : join(linear({ init, end: peak, steps: warmup }), warmup, then)

/** The warm-up of a schedule: a straight line of `warmup` updates from init (default: 0) to peak. */
export interface Warmup {
  readonly peak: number
  readonly warmup: number
  readonly init?: number
}
const checkWarmup = (name: string, { peak, warmup, init }: Required<Warmup>): void => {
  setting(`${name}: peak`, peak, { from: 0 })
  setting(`${name}: warmup`, warmup, { from: 0 })
  setting(`${name}: init`, init, { from: 0 })
}

export interface WarmupCosine extends Warmup {
  readonly total: number
  readonly end?: number
  /** The power of the wave (default: 1). */
  readonly exponent?: number
}
/**
 * From init to peak in a straight line of `warmup` updates, then along a cosine to end at count `total`.
 * Source: `optax.warmup_cosine_decay_schedule`.
 * @example adamw({ lr: warmupCosine({ peak: 1e-4, warmup: 10, total: 200 }) })
 */
export const warmupCosine = ({ peak, warmup, total, init = 0, end = 0, exponent = 1 }: WarmupCosine): Schedule => {
  checkWarmup('warmupCosine', { peak, warmup, init })
  setting('warmupCosine: total', total, { above: warmup })
  setting('warmupCosine: end', end, { from: 0 })
  const alpha = peak === 0 ? 0 : end / peak
  return after(init, peak, warmup, cosine({ init: peak, steps: total - warmup, alpha, exponent }))
}

/** From init to peak in a straight line, then peak. Source: `optax.warmup_constant_schedule`. @example warmupConstant({ peak: 1e-4, warmup: 10 }) */
export const warmupConstant = ({ peak, warmup, init = 0 }: Warmup): Schedule => {
  checkWarmup('warmupConstant', { peak, warmup, init })
  return after(init, peak, warmup, constant(peak))
}

/**
 * From init to peak in a straight line, then an exponential decay from peak, whose `begin` counts from there. Source:
 * `optax.warmup_exponential_decay_schedule`.
 * @example warmupExponential({ peak: 1e-3, warmup: 10, steps: 100, rate: 0.5 })
 */
export const warmupExponential = ({
  peak,
  warmup,
  init = 0,
  ...decay
}: Warmup & Omit<Exponential, 'init'>): Schedule => {
  checkWarmup('warmupExponential', { peak, warmup, init })
  return after(init, peak, warmup, exponential({ ...decay, init: peak }))
}

/**
 * Cosines with a warm-up each, one after the other: restarts. Source: `optax.sgdr_schedule`; Loshchilov and Hutter 2017.
 * @example restarts([{ peak: 1e-3, warmup: 10, total: 100 }, { peak: 5e-4, warmup: 10, total: 200 }])
 */
export const restarts = (cycles: readonly WarmupCosine[]): Schedule => {
  const last = cycles.at(-1)
  if (last === undefined) throw new RangeError('restarts: there is no cycle')
  return cycles
    .slice(0, -1)
    .reduceRight((then, cycle) => join(warmupCosine(cycle), cycle.total, then), warmupCosine(last))
}

export interface WarmupStableDecay extends Warmup {
  /** The number of updates at the peak. */
  readonly stable: number
  /** The number of updates from the peak to the end. */
  readonly decay: number
  readonly end?: number
}
/**
 * From init to peak in a straight line, `stable` updates at the peak, and a straight line of `decay` updates to end.
 * Source: Hu et al. 2024 (MiniCPM); in optax a `join_schedules`.
 * @example warmupStableDecay({ peak: 1e-3, warmup: 10, stable: 150, decay: 40 })
 */
export const warmupStableDecay = ({ peak, warmup, stable, decay, init = 0, end = 0 }: WarmupStableDecay): Schedule => {
  checkWarmup('warmupStableDecay', { peak, warmup, init })
  setting('warmupStableDecay: stable', stable, { from: 0 })
  setting('warmupStableDecay: decay', decay, { above: 0 })
  return after(init, peak, warmup, linear({ init: peak, end, steps: decay, begin: stable }))
}

/** The shape of what leads from one value to the next. */
export type Interpolation = 'linear' | 'cosine'

export interface Interpolated {
  readonly init: number
  /** The factors by which the value has changed at some counts. */
  readonly scales: Readonly<Record<number, number>>
  readonly by: Interpolation
}
/**
 * From init to values at some counts, each of which is the one before times a scale, and the last one from there on.
 * Source: `optax.piecewise_interpolate_schedule`.
 * @example interpolated({ init: 1e-3, scales: { 100: 10, 200: 0.01 }, by: 'cosine' })
 */
export const interpolated = ({ init, scales, by }: Interpolated): Schedule => {
  setting('interpolated: init', init, { from: 0 })
  const places = Object.entries(scales).map(([at, factor]) => [Number(at), factor] as const)
  for (const [at, factor] of places) {
    setting('interpolated: a count', at, { above: 0 })
    setting(`interpolated: the scale at ${at}`, factor, { from: 0 })
  }
  return count => {
    // numbers that are keys are in ascending order
    const { value } = places.reduce(
      ({ value, from, start }, [at, factor]) => {
        const end = start * factor
        const part = minimum(maximum(div(sub(count, from), at - from), 0), 1)
        const way = by === 'linear' ? part : mul(sub(1, cos(mul(part, Math.PI))), 0.5)
        return { value: select(less(count, from), value, add(mul(way, end - start), start)), from: at, start: end }
      },
      { value: scalar(init), from: 0, start: init },
    )
    return value
  }
}

export interface OneCycle {
  readonly peak: number
  readonly steps: number
  readonly by?: Interpolation
  /** The part of the updates until the peak (default: 0.3). */
  readonly rise?: number
  /** The part of the updates until the value is back where it began, of a linear cycle (default: 0.85). */
  readonly back?: number
  /** The peak over the first value (default: 25). */
  readonly divisor?: number
  /** The first value over the last one (default: 1e4). */
  readonly final?: number
}
/**
 * One cycle: from peak / divisor up to the peak, and down to peak / (divisor · final). Source:
 * `optax.cosine_onecycle_schedule` and `optax.linear_onecycle_schedule`; Smith and Topin 2018.
 * @example oneCycle({ peak: 1e-3, steps: 200 })
 */
export const oneCycle = (options: OneCycle): Schedule => {
  const { peak, steps, by = 'cosine', rise = 0.3, back = 0.85, divisor = 25, final = 1e4 } = options
  setting('oneCycle: peak', peak, { from: 0 })
  setting('oneCycle: steps', steps, { above: 0, whole: true })
  setting('oneCycle: rise', rise, { above: 0, below: 1 })
  setting('oneCycle: back', back, { above: rise, below: 1 })
  setting('oneCycle: divisor', divisor, { above: 0 })
  setting('oneCycle: final', final, { above: 0 })
  const top = Math.floor(rise * steps)
  const down = Math.floor(back * steps)
  if (top < 1 || top >= steps || (by === 'linear' && (down <= top || down >= steps)))
    throw new RangeError(`oneCycle: steps is ${steps}: there are too few for the parts of a cycle`)
  const scales =
    by === 'linear'
      ? { [top]: divisor, [down]: 1 / divisor, [steps]: 1 / final }
      : { [top]: divisor, [steps]: 1 / (divisor * final) }
  return interpolated({ init: peak / divisor, scales, by })
}

/**
 * A part of a schedule: it begins at count `from`, and stays after `steps` updates (default: never).
 * @example slice(warmupCosine({ peak: 1e-3, warmup: 10, total: 200 }), { from: 50 })
 */
export const slice = (
  schedule: Schedule,
  { from, steps }: { readonly from: number; readonly steps?: number },
): Schedule => {
  setting('slice: from', from, { from: 0 })
  if (steps !== undefined) setting('slice: steps', steps, { from: 0 })
  return count => schedule(add(steps === undefined ? count : minimum(count, steps), from))
}

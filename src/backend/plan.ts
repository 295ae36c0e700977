import type { Step } from '../compile/index.ts'
import { byPriority } from './choice.ts'
import { checkBudget } from './budget.ts'
import { targetFor } from './compile.ts'
import type { Foreseeing, Foresight, StepPlan } from './foresee.ts'
import type { Precision } from './precision.ts'
import { registeredTargets, type TargetName } from './targets.ts'

/** The target and the options that steps are planned for; see {@link Foreseeing}. */
export interface PlanTarget extends Omit<Foreseeing, 'precision'> {
  /** By default the last choice of `auto` that computes in the precision: it needs the least to be installed. */
  readonly target?: TargetName | undefined
  readonly precision?: Precision | undefined
}

/** The machine that a step is planned for: its sizes on a target, and the bytes that it may hold. */
export interface PlanOptions extends PlanTarget {
  readonly dims: Readonly<Record<string, number>>
  /** The bytes of the machine, if what fits it is asked. */
  readonly device?: number | undefined
}

/** The most of one dim that fits a machine. */
export interface Fit {
  readonly largest: number
  /** The bytes of the step at the largest. */
  readonly total: number
}

/** A plan with the largest sizes that fit a machine. */
export interface DevicePlan extends StepPlan {
  /** The largest size of each dim of the batch that fits while the others stay; absent without a machine. */
  readonly fits?: Readonly<Record<string, Fit>>
}

/**
 * The plans of a step on a target, for any sizes. No weights are read and nothing is computed.
 * @throws {SessionError} if the target does not compute in the precision, or the budget is no number of bytes
 * @example const foresight = await foresee(step, { target: 'graph', precision: 'bf16' })
 */
export const foresee = async <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { target: name, precision = 'f32', ...options }: PlanTarget = {},
): Promise<Foresight & { readonly target: string }> => {
  checkBudget(options.memory)
  const plainest = byPriority(registeredTargets).findLast(({ precisions }) => precisions.includes(precision))
  const { target } = await targetFor(name ?? plainest?.name ?? 'auto', precision)
  return { ...(await target.foresee(step, { precision, ...options })), target: target.name }
}

/** The largest size that is tried. */
const mostSize = 2 ** 30

/** The total of a step at a size. */
interface Point {
  readonly size: number
  readonly total: number
}

/** The size at which the parabola through three points reaches a total, if it is one that grows. */
const reached = ([a, b, c]: readonly [Point, Point, Point], total: number): number => {
  const slope = (p: Point, q: Point): number => (q.total - p.total) / (q.size - p.size)
  const first = slope(a, b)
  const second = (slope(b, c) - first) / (c.size - a.size)
  // total = a + first · (s - a) + second · (s - a)(s - b)
  const linear = first - second * (b.size - a.size)
  const beyond = total - a.total
  const root = Math.sqrt(Math.max(0, linear * linear + 4 * second * beyond))
  return a.size + (2 * beyond) / (linear + root)
}

/**
 * The largest size of a dim with which a step fits into some bytes, by its plans. Bytes grow with every size, nearly as
 * a parabola, whose root is guessed; the plans at the result and at the next size verify it. Undefined if not even a
 * size of 1 fits.
 * @example largestFitting(seq => foresight.certificate({ batch: 1, seq }).total, 80e9)
 */
export const largestFitting = (total: (size: number) => number, bytes: number): Fit | undefined => {
  const at = (size: number): Point => ({ size, total: total(size) })
  const first = at(1)
  if (first.total > bytes) return undefined
  let points: readonly Point[] = [first]
  let low = first
  let high: Point | undefined
  for (let turn = 1; low.size < mostSize && (high === undefined || high.size - low.size > 1); turn++) {
    const upper = high ? high.size - 1 : Math.min(mostSize, 64 * low.size)
    const [a, b, c] = points.toSorted((p, q) => p.size - q.size).slice(-3)
    const guess = a && b && c ? Math.floor(reached([a, b, c], bytes)) : 2 * low.size
    // now and then the middle, so that the number of turns grows with the logarithm of the size only
    const tried = high && turn % 4 === 0 ? Math.floor((low.size + high.size) / 2) : guess
    const found = at(Number.isFinite(tried) ? Math.max(low.size + 1, Math.min(upper, tried)) : upper)
    if (found.total <= bytes) low = found
    else high = found
    points = [...points.filter(({ size }) => size < low.size), low, ...(high ? [high] : [])]
  }
  return { largest: low.size, total: low.total }
}

/**
 * Plans a step before it runs, as a target holds it, without weights: what is trained, the bytes of weights, state,
 * what is saved and what passes, operations, and the buffer that binds; with a machine also the largest sizes that fit.
 * With `memory`, the plan is the one within these bytes that recomputes least, and sizes fit if some plan does.
 * @throws {SessionError} if the target does not compute in the precision, or no plan is within `memory`
 * @throws {DimsError} if a dim has no size
 * @example const { total, fits } = await plan(step, { dims: { batch: 1, seq: 512 }, device: 80e9 })
 */
export const plan = async <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { dims, device, ...options }: PlanOptions,
): Promise<DevicePlan> => {
  const foresight = await foresee(step, options)
  const bytes = Math.min(device ?? 0, options.memory ?? Number.POSITIVE_INFINITY)
  return { ...foresight.at(dims), ...(device === undefined ? {} : { fits: fitsOf(foresight, dims, bytes) }) }
}

/**
 * The largest size of every dim with which the others fit into some bytes; a dim of which none fits has none.
 * @example fitsOf(foresight, { batch: 1, seq: 512 }, 80e9)['seq']?.largest
 */
export const fitsOf = (
  { certificate }: Pick<Foresight, 'certificate'>,
  dims: Readonly<Record<string, number>>,
  device: number,
  among: readonly string[] = Object.keys(dims),
): Readonly<Record<string, Fit>> =>
  Object.fromEntries(
    among.flatMap(dim => {
      const fit = largestFitting(size => certificate({ ...dims, [dim]: size }).total, device)
      return fit === undefined ? [] : [[dim, fit]]
    }),
  )

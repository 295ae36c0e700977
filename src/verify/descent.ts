import { nextDown } from './bound/rounding.ts'

/** Theorem 1 beside what was measured of a run: pure arithmetic on numbers, no session and no tensors. */

/**
 * What was measured of one step from W to W + u, with u = −η P∇f(W) for plain gradient descent. Both losses are of the
 * same batch: with a new batch on one side the inequality is false.
 */
export interface MeasuredStep {
  /** Which batch the losses are of; steps with the same number have the same loss function. */
  readonly batch: number
  /** f(W), before the update. */
  readonly loss: number
  /** f(W + u), after it, of the same batch. */
  readonly next: number
  /** ‖P∇f(W)‖, Euclidean, over the trained coordinates. */
  readonly gradNorm: number
  /** η. */
  readonly rate: number
  /** L_P of this step: a proved bound, or the largest estimate so far. */
  readonly curvature: number
  /** ⟨P∇f(W), u⟩, where u is not −η P∇f(W); absent for plain gradient descent. */
  readonly directional?: number
  /** ‖u‖², given and absent together with `directional`. */
  readonly squared?: number
}

/**
 * How exactly losses and norms were computed: each has a relative error of at most `multiple` × `unit`. An assumption,
 * no theorem.
 */
export interface Rounding {
  readonly unit: number
  readonly multiple: number
}

/** In what numbers a target computed. */
export type Arithmetic = 'f64' | 'f32' | 'bf16'
const units: Readonly<Record<Arithmetic, number>> = { f64: 2 ** -53, f32: 2 ** -24, bf16: 2 ** -8 }

/**
 * The rounding that is assumed of a precision: `multiple` (64) units of roundoff (half the distance from 1 to the next
 * number) for each loss and norm. No multiple can be derived from the sizes alone, as a loss is a mean of terms that
 * may cancel inside: 64 allows a pairwise sum of any length, and some tens of roundings in sequence in each term.
 * @example const rounding = roundingOf('f32')
 */
export const roundingOf = (precision: Arithmetic, multiple = 64): Rounding => ({ unit: units[precision], multiple })

/**
 * Whether the measured numbers obey the inequality; `within rounding` is where the assumed rounding does not let them
 * say.
 */
export type Verdict = 'holds' | 'within rounding' | 'violated'

/** A step beside what the theorem allows. */
export interface StepRecord extends MeasuredStep {
  /** Counted from 0. */
  readonly step: number
  /** f(W) + ⟨P∇f, u⟩ + L/2 ‖u‖²: the greatest loss that the theorem allows after the step. */
  readonly bound: number
  /** bound − next, as it was measured. */
  readonly slack: number
  /** How far rounding may have moved the slack, by assumption. */
  readonly tolerance: number
  readonly verdict: Verdict
  /** Whether next < loss, as they were measured. */
  readonly descended: boolean
  /**
   * The least L for which this step obeys the inequality; null where there was no update, or one too small to divide
   * by.
   */
  readonly needed: number | null
}

/** Whether a step is one of plain gradient descent. */
export const isPlain = ({ directional, squared }: MeasuredStep): boolean =>
  directional === undefined && squared === undefined

/** ⟨P∇f, u⟩ and ‖u‖² of a step, measured or by the rule of gradient descent. */
const updateOf = ({ rate, gradNorm, directional, squared }: MeasuredStep) => ({
  directional: directional ?? -rate * (gradNorm * gradNorm),
  squared: squared ?? rate * gradNorm * (rate * gradNorm),
})

/**
 * How far the slack may be off, if every measured loss and norm x̂ is x(1 + δ) with |δ| ≤ mu (m the multiple, u the
 * unit). Then |x − x̂| ≤ ρ|x̂| with ρ = mu/(1 − mu), a product of two norms is off by (2ρ + ρ²) of itself, and an inner
 * product by as much of the product of the norms:
 *   ρ(|f(W)| + |f(W + u)|) + (2ρ + ρ²)(‖P∇f‖ ‖u‖ + L/2 ‖u‖²).
 * Not in it: that W + u itself is rounded when it is stored.
 */
const toleranceOf = (step: MeasuredStep, { unit, multiple }: Rounding): number => {
  const once = (multiple * unit) / (1 - multiple * unit)
  const { squared } = updateOf(step)
  return (
    once * (Math.abs(step.loss) + Math.abs(step.next)) +
    (2 * once + once * once) * (step.gradNorm * Math.sqrt(squared) + (step.curvature / 2) * squared)
  )
}

/**
 * The greatest loss that Theorem 1 allows after a step: f − η(1 − ηL/2)‖P∇f‖², and f + ⟨P∇f, u⟩ + L/2 ‖u‖² where u is
 * another update (Woo et al. 2025, Theorem 1, with both losses of one batch and L taken inside the trained
 * coordinates).
 * @example descentBound({ batch: 0, loss: 1, next: 0.9, gradNorm: 1, rate: 0.1, curvature: 2 })   // 0.91
 */
export const descentBound = (step: MeasuredStep): number => {
  const { loss, gradNorm, rate, curvature } = step
  if (isPlain(step)) return loss - rate * (1 - (rate * curvature) / 2) * (gradNorm * gradNorm)
  const { directional, squared } = updateOf(step)
  return loss + directional + (curvature / 2) * squared
}

const neededOf = (step: MeasuredStep): number | null => {
  const { directional, squared } = updateOf(step)
  const needed = (2 * (step.next - step.loss - directional)) / squared
  return squared > 0 && Number.isFinite(needed) ? needed : null
}

/**
 * One step beside what Theorem 1 allows. Slack is raw; the verdict is `holds` where it is at least the tolerance, and
 * `violated` where it is below minus the tolerance.
 * @example descentStep({ batch: 0, loss: 1, next: 0.9, gradNorm: 1, rate: 0.1, curvature: 2 }, 0, roundingOf('f32')).slack   // 0.01
 */
export const descentStep = (measured: MeasuredStep, step: number, rounding: Rounding): StepRecord => {
  const bound = descentBound(measured)
  const slack = bound - measured.next
  const tolerance = toleranceOf(measured, rounding)
  return {
    ...measured,
    step,
    bound,
    slack,
    tolerance,
    verdict: slack >= tolerance ? 'holds' : slack < -tolerance ? 'violated' : 'within rounding',
    descended: measured.next < measured.loss,
    needed: neededOf(measured),
  }
}

/**
 * A rate below 2/L, as near as a double is sure to be: rounding may have put the quotient above, and the number before
 * it is below. Null where L is 0: every rate will do.
 * @example largestRate(4)   // 0.49999999999999994
 */
export const largestRate = (curvature: number): number | null => (curvature > 0 ? nextDown(2 / curvature) : null)

/** A run beside the theorem. */
export interface DescentSummary {
  readonly steps: number
  readonly descended: number
  /** Steps after which the loss was higher; the rest left it as it was. */
  readonly ascended: number
  readonly violations: number
  readonly withinRounding: number
  readonly leastSlack: number
  /** The largest L that a step needed: what was measured is in accord with every L from here on. */
  readonly largestNeeded: number | null
  /** The largest L that a step was held to, and the largest rate below 2/L. */
  readonly curvature: number
  readonly largestRate: number | null
  /** The largest ηL of a step: below 2 the theorem promises descent. */
  readonly rateTimesCurvature: number
  /** The least ‖P∇f‖² of the run. */
  readonly leastSquaredGradient: number
  /**
   * What statement 4 bounds it by: (f(W⁰) − f_inf)/Σ ηₖ(1 − ηₖLₖ/2), which for a constant rate is (f(W⁰) − f_inf)/(Nη(1
   * − ηL/2)). Null where that does not apply: f_inf unknown, another update than gradient descent, several batches, or
   * ηL ≥ 2.
   */
  readonly gradientBound: number | null
}

const gradientBound = (steps: readonly StepRecord[], lowest: number | null): number | null => {
  const [first] = steps
  if (first === undefined || lowest === null) return null
  if (
    !steps.every(step => isPlain(step) && step.batch === first.batch && step.rate > 0 && step.rate * step.curvature < 2)
  )
    return null
  const bound =
    (first.loss - lowest) / steps.reduce((sum, { rate, curvature }) => sum + rate * (1 - (rate * curvature) / 2), 0)
  return Number.isFinite(bound) ? bound : null
}

/** The extremes of numbers, of which there is at least one. */
export const largest = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b))
export const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.min(a, b))

/**
 * What a run of at least one step shows. `lowest` is a number that the loss is nowhere below (0 for cross-entropy and
 * squared error), or null. Errors: a run without steps is a TypeError.
 * @example summarize(steps, 0).violations
 */
export const summarize = (steps: readonly StepRecord[], lowest: number | null): DescentSummary => {
  const count = (holds: (step: StepRecord) => boolean): number => steps.filter(holds).length
  const needed = steps.flatMap(step => step.needed ?? [])
  const curvature = largest(steps.map(step => step.curvature))
  return {
    steps: steps.length,
    descended: count(({ descended }) => descended),
    ascended: count(({ next, loss }) => next > loss),
    violations: count(({ verdict }) => verdict === 'violated'),
    withinRounding: count(({ verdict }) => verdict === 'within rounding'),
    leastSlack: least(steps.map(({ slack }) => slack)),
    largestNeeded: needed.length === 0 ? null : largest(needed),
    curvature,
    largestRate: largestRate(curvature),
    rateTimesCurvature: largest(steps.map(step => step.rate * step.curvature)),
    leastSquaredGradient: least(steps.map(({ gradNorm }) => gradNorm * gradNorm)),
    gradientBound: gradientBound(steps, lowest),
  }
}

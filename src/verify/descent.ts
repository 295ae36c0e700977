import { nextDown } from './bound/rounding.ts'

/** Compares the measurements of a run with Theorem 1: pure arithmetic on numbers, without sessions or tensors. */

/**
 * The measurements of one step from W to W + u, with u = −η P∇f(W) for plain gradient descent. Both losses use the same
 * batch: with different batches the inequality is false.
 */
export interface MeasuredStep {
  /** The batch of the losses; steps with the same number have the same loss function. */
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
  /** ⟨P∇f(W), u⟩ if u is not −η P∇f(W); absent for plain gradient descent. */
  readonly directional?: number
  /** ‖u‖², present exactly if `directional` is. */
  readonly squared?: number
}

/**
 * The assumed precision of losses and norms: each has a relative error of at most `multiple` × `unit`. This is an
 * assumption, not a theorem.
 */
export interface Rounding {
  readonly unit: number
  readonly multiple: number
}

/** The number format in which a target computed. */
export type Arithmetic = 'f64' | 'f32' | 'bf16'
const units: Readonly<Record<Arithmetic, number>> = { f64: 2 ** -53, f32: 2 ** -24, bf16: 2 ** -8 }

/**
 * The rounding that is assumed for a precision: `multiple` (64) units of roundoff (half the distance from 1 to the next
 * number) for each loss and norm. No multiple follows from the sizes alone, because a loss is a mean of terms in which
 * cancellation may occur: 64 allows a pairwise sum of any length and a few dozen successive roundings in each term.
 * @example const rounding = roundingOf('f32')
 */
export const roundingOf = (precision: Arithmetic, multiple = 64): Rounding => ({ unit: units[precision], multiple })

/**
 * The outcome of a comparison with the inequality; `within rounding` means that the assumed rounding does not allow a
 * decision.
 */
export type Verdict = 'holds' | 'within rounding' | 'violated'

/** A step compared with the theorem. */
export interface StepRecord extends MeasuredStep {
  /** The index of the step, from 0. */
  readonly step: number
  /** f(W) + ⟨P∇f, u⟩ + L/2 ‖u‖²: the greatest loss that the theorem allows after the step. */
  readonly bound: number
  /** bound − next, from the measured numbers. */
  readonly slack: number
  /** The largest change of the slack that the assumed rounding can cause. */
  readonly tolerance: number
  readonly verdict: Verdict
  /** True if next < loss, from the measured numbers. */
  readonly descended: boolean
  /** The least L for which this step obeys the inequality; null if the update is zero or too small to divide by. */
  readonly needed: number | null
}

/** Tests whether a step is one of plain gradient descent. */
export const isPlain = ({ directional, squared }: MeasuredStep): boolean =>
  directional === undefined && squared === undefined

/** ⟨P∇f, u⟩ and ‖u‖² of a step, measured or by the rule of gradient descent. */
const updateOf = ({ rate, gradNorm, directional, squared }: MeasuredStep) => ({
  directional: directional ?? -rate * (gradNorm * gradNorm),
  squared: squared ?? rate * gradNorm * (rate * gradNorm),
})

/**
 * The largest error of the slack, if every measured loss and norm x̂ is x(1 + δ) with |δ| ≤ mu (m the multiple, u the
 * unit). Then |x − x̂| ≤ ρ|x̂| with ρ = mu/(1 − mu), a product of two norms has a relative error of (2ρ + ρ²), and an
 * inner product an error of as much of the product of the norms: ρ(|f(W)| + |f(W + u)|) + (2ρ + ρ²)(‖P∇f‖ ‖u‖ + L/2
 * ‖u‖²). The rounding of W + u itself, when it is stored, is not included.
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
 * The greatest loss that Theorem 1 allows after a step: f − η(1 − ηL/2)‖P∇f‖², and f + ⟨P∇f, u⟩ + L/2 ‖u‖² if u is
 * another update (Woo et al. 2025, Theorem 1, with both losses of one batch and L taken inside the trained
 * coordinates).
 * @example descentBound({ batch: 0, loss: 1, next: 0.9, gradNorm: 1, rate: 0.1, curvature: 2 }) // 0.91
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
 * Compares one step with Theorem 1. The slack is raw; the verdict is `holds` if the slack is at least the tolerance,
 * and `violated` if it is below minus the tolerance.
 * @example descentStep({ batch: 0, loss: 1, next: 0.9, gradNorm: 1, rate: 0.1, curvature: 2 }, 0, roundingOf('f32')).slack // 0.01
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
 * The largest double that is sure to be below 2/L: the quotient may have been rounded up, and the number before it is
 * below. Null if L is 0, because every rate will do.
 * @example largestRate(4) // 0.49999999999999994
 */
export const largestRate = (curvature: number): number | null => (curvature > 0 ? nextDown(2 / curvature) : null)

/** A run compared with the theorem. */
export interface DescentSummary {
  readonly steps: number
  readonly descended: number
  /** The number of steps that raised the loss. Steps that neither raised nor lowered it are in neither count. */
  readonly ascended: number
  readonly violations: number
  readonly withinRounding: number
  readonly leastSlack: number
  /** The largest L that a step needed: the measurements agree with every larger L. */
  readonly largestNeeded: number | null
  /** The largest L that a step was compared with, and the largest rate below 2/L. */
  readonly curvature: number
  readonly largestRate: number | null
  /** The largest ηL of a step; below 2 the theorem guarantees descent. */
  readonly rateTimesCurvature: number
  /** The least ‖P∇f‖² of the run. */
  readonly leastSquaredGradient: number
  /**
   * The bound of statement 4 for it: (f(W⁰) − f_inf)/Σ ηₖ(1 − ηₖLₖ/2), which for a constant rate is (f(W⁰) −
   * f_inf)/(Nη(1 − ηL/2)). Null if it does not apply: f_inf unknown, another update than gradient descent, several
   * batches, or ηL ≥ 2.
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

/** The extremes of at least one number. */
export const largest = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b))
export const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.min(a, b))

/**
 * Summarizes a run of at least one step. `lowest` is a lower bound of the loss (0 for cross-entropy and squared error),
 * or null. Errors: a TypeError for a run without steps.
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

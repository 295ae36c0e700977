import fc from 'fast-check'
import { bound, etaOf, stepper, type Outcome } from './descent.ts'
import { layouts, rowsOf, trainedOf } from './layout.ts'
import { families, noise, type Term } from './losses.ts'
import { matrix, norm } from './matrices.ts'
import { alongTop, beyond, cases, descends, of, within, type Case } from './one-step.ts'
import { curvature, gradientAt, problems, type Problem } from './problem.ts'
import { float64, stepError } from './rounding.ts'
import type { Theorem } from './theorem.ts'

/** Statement 6: the paper's exaggerations, as facts that run. */

/** A step on one batch; then the loss is that of another, with other targets. */
interface Changed extends Case {
  readonly targets: readonly number[]
}
const otherTargets = ({ terms: [term] }: Problem, targets: readonly number[]): Term['data'] => ({
  ...term!.data,
  Y: { sizes: term!.data.Y!.sizes, data: Float64Array.from(targets) },
})
const changed = fc.record({ problem: of('leastSquares'), relative: within }).chain(subject => {
  const [rows, outputs] = subject.problem.terms[0]!.data.Y!.sizes as [number, number]
  return matrix(rows, outputs).map(({ data }): Changed => ({ ...subject, targets: [...data] }))
})
/** The paper's literal form: f(Wᵏ⁺¹, Xᵏ⁺¹) ≤ f(Wᵏ, Xᵏ) − η(1 − ηL/2)‖∇P‖², on the next batch or on the same. */
const literal = ({ problem, relative, targets }: Changed, next: 'same' | 'other'): boolean => {
  const { run, value } = stepper(problem)
  const outcome = run(problem.at, etaOf(problem, relative))
  const after = next === 'same' ? outcome.after : value(outcome.next, [otherTargets(problem, targets)])
  return (
    after <= bound(outcome, outcome.gradientNorm ** 2, curvature(problem).part) + stepError(problem, outcome, float64)
  )
}
const far = 2 ** 12

export const changingBatch: Theorem<Changed> = {
  statement:
    '6: after every step there is a batch with which the literal form, the next batch on the left, is false; with the same batch it is true',
  cases: changed,
  property: subject =>
    literal(subject, 'same') && !literal({ ...subject, targets: subject.targets.map(() => far) }, 'other'),
  mutants: { 'the literal form, with the next batch on the left': { property: subject => literal(subject, 'other') } },
}

/** L/2‖W‖² + ⟨C, W⟩, which is least where W = −C/L; something is frozen where its gradient is not 0. */
interface Partly {
  readonly problem: Problem
  readonly relative: number
}
const halving = fc.integer({ min: 32, max: 96 }).map(k => k / 64)
const partly: fc.Arbitrary<Partly> = fc
  .record({
    problem: problems(
      layout => fc.tuple(families.isotropic(layout), noise(layout)),
      layouts(['columns', 'entries', 'frozen', 'all']),
    ),
    relative: halving,
  })
  .filter(({ problem }) => trainedOf(problem).includes(true) && frozenGradient(problem) > 2 ** -8)
const frozenGradient = (problem: Problem): number => {
  const trained = trainedOf(problem)
  return norm({ ...problem.at, data: gradientAt(problem, problem.at).data.map((g, i) => (trained[i] ? 0 : g)) })
}
const small = 2 ** -20
/** After 60 steps, each of which at least halves the gradient inside the mask. */
const after60 = ({ problem, relative }: Partly): Outcome => {
  const { run } = stepper(problem)
  const eta = etaOf(problem, relative)
  return Array.from({ length: 60 }).reduce<Outcome>(last => run(last.next, eta), run(problem.at, eta))
}
const limit = (subject: Partly): { readonly end: Outcome; readonly least: number } => {
  const { problem } = subject
  const C = norm(problem.terms[1]!.data.C!) / problem.count
  return { end: after60(subject), least: -(C ** 2) / (2 * curvature(problem).whole) }
}

export const partialStationarity: Theorem<Partly> = {
  statement:
    '6: P∇f → 0 implies neither ∇f → 0 nor a minimum: the frozen gradient stays, and f stays above its least value by its square over 2L',
  cases: partly,
  property: subject => {
    const { end, least } = limit(subject)
    const frozen = frozenGradient(subject.problem)
    const gap = frozen ** 2 / (2 * curvature(subject.problem).whole)
    return (
      end.gradientNorm < small &&
      Math.abs(Math.sqrt(end.full) - frozen) < small &&
      Math.abs(end.before - least - gap) < small * (1 + gap)
    )
  },
  mutants: {
    'then ∇f → 0': { property: subject => Math.sqrt(limit(subject).end.full) < small },
    'then f is at its least value': {
      property: subject => {
        const { end, least } = limit(subject)
        return end.before - least < small
      },
    },
  },
}

/**
 * L/2 (Σ wᵢ² − Σ wⱼ²), from a point where the wⱼ, which are one row, are 0: everything is trained, and ∇f → 0 at a
 * saddle.
 */
const saddle: fc.Arbitrary<Partly> = fc
  .record({ problem: of('isotropic', ['all']), relative: halving })
  .filter(({ problem }) => rowsOf(problem).length > 1)
  .map(({ problem, relative }) => {
    const first = (i: number): boolean => i < problem.outputs
    const [term] = problem.terms
    const D = { ...term!.data.D!, data: term!.data.D!.data.map((d, i) => (first(i) ? -d : d)) }
    const at = { ...problem.at, data: problem.at.data.map((x, i) => (first(i) ? 0 : x)) }
    return { relative, problem: { ...problem, at, terms: [{ ...term!, data: { D } }] } }
  })
const atSaddle = (subject: Partly): { readonly end: Outcome; readonly beside: number } => {
  const end = after60(subject)
  const { problem } = subject
  return {
    end,
    beside: stepper(problem).value({ ...end.at, data: end.at.data.map((x, i) => (i < problem.outputs ? x + 1 : x)) }),
  }
}

export const stationarity: Theorem<Partly> = {
  statement: '6: even ∇f → 0, with everything trained, implies no minimum: descent can end at a saddle',
  cases: saddle,
  property: subject => {
    const { end, beside } = atSaddle(subject)
    return Math.sqrt(end.full) < small && beside < end.before - 2 ** -8
  },
  mutants: {
    'where ∇f = 0 no neighbour is lower': {
      property: subject => {
        const { end, beside } = atSaddle(subject)
        return beside >= end.before
      },
    },
  },
}

export const ascent: Theorem<Case> = {
  statement: '6: a quadratic rises for every η > 2/L_P, along the top eigenvector of PHP',
  cases: cases(alongTop(), beyond),
  property: subject => descends(subject) !== 'falls',
  mutants: { 'it falls': { property: subject => descends(subject) !== 'rises' } },
}

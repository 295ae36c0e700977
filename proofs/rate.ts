import fc from 'fast-check'
import { etaOf, stepper, type Outcome } from './descent.ts'
import { nonNegative } from './losses.ts'
import { of, within } from './one-step.ts'
import { curvature, problems, type Problem } from './problem.ts'
import { float64, stepError, type Moved } from './rounding.ts'
import type { Theorem } from './theorem.ts'

/** Statement 4: how fast the gradient inside the mask becomes small. */

/** A problem with f ≥ 0, a step size in units of 1/L_P, a number of steps. */
interface Run {
  readonly problem: Problem
  readonly relative: number
  readonly steps: number
}
const runs = (problem = problems(nonNegative), relative = within, steps = { min: 1, max: 20 }): fc.Arbitrary<Run> =>
  fc.record({ problem, relative, steps: fc.integer(steps) })

/** W⁰, …, Wᴺ⁻¹, as steps from there. */
const trajectory = ({ problem, relative, steps }: Run): readonly Outcome[] => {
  const { run } = stepper(problem)
  const eta = etaOf(problem, relative)
  return Array.from({ length: steps - 1 }).reduce<readonly Outcome[]>(
    done => [...done, run(done.at(-1)!.next, eta)],
    [run(problem.at, eta)],
  )
}

/**
 * min ‖P∇f‖² ≤ (f⁰ − f_inf)/(Nη(1 − ηL_P/2)) with f_inf = 0: the inequality summed over the steps, f⁰ − fᴺ ≥ Σ η(1 −
 * ηL_P/2)‖P∇f‖². Each step is off by its rounding, and the sum by the sum of theirs.
 */
export const boundedBy = (problem: Problem, done: readonly Moved[], square: number, u: number, power = 1): boolean => {
  const { eta, before } = done[0]!
  const { part } = curvature(problem)
  const error = done.reduce((sum, moved) => sum + stepError(problem, moved, u), 0)
  return square * done.length ** power * eta * (1 - (eta * part) / 2) <= before + error
}
const rate = (subject: Run, of: (done: readonly Outcome[]) => number, power = 1): boolean => {
  const done = trajectory(subject)
  return boundedBy(subject.problem, done, of(done), float64, power)
}
export const least = (done: readonly Moved[]): number => Math.min(...done.map(({ gradientNorm }) => gradientNorm ** 2))
const gentle = fc.integer({ min: 1, max: 8 }).map(k => k / 64)

export const rateOfGradients: Theorem<Run> = {
  statement:
    '4: if f ≥ f_inf and 0 < ηL_P < 2, then min ‖P∇f(Wᵏ)‖² over k < N is at most (f⁰ − f_inf)/(Nη(1 − ηL_P/2))',
  cases: runs(),
  property: subject => rate(subject, least),
  mutants: {
    '1/N² for 1/N': {
      cases: runs(of('isotropic'), gentle, { min: 10, max: 20 }),
      property: subject => rate(subject, least, 2),
    },
    'the largest gradient for the least': {
      property: subject => rate(subject, done => Math.max(...done.map(({ gradientNorm }) => gradientNorm ** 2))),
    },
    'the gradient of all coordinates for that inside the mask': {
      property: subject => rate(subject, done => Math.min(...done.map(({ full }) => full))),
    },
    'half of the bound': {
      cases: runs(of('isotropic'), within, { min: 1, max: 2 }),
      property: subject => rate(subject, done => 2 * least(done)),
    },
  },
}

import fc from 'fast-check'
import { bound, etaOf, frozenKept, stepper, type Mistakes, type Outcome } from './descent.ts'
import { type Kind, layouts, trainedOf } from './layout.ts'
import { anyTerms, families, only } from './losses.ts'
import { matrix, norm, type Curvature } from './matrices.ts'
import { curvature, gradientAt, hessianProduct, problems, type Problem } from './problem.ts'
import { float64, gradientError, hessianError, stepError } from './rounding.ts'
import type { Mutant, Theorem } from './theorem.ts'

/** Theorem 1 and its statements about a single step: 1, 2, 3 and 7. */

/** A problem, and a step size in units of 1/L_P. */
export interface Case {
  readonly problem: Problem
  readonly relative: number
}

/** Step sizes t/L_P: mostly 0 < t < 2, for which the loss falls; but the inequality holds for every real t. */
export const within = fc.integer({ min: 1, max: 127 }).map(k => k / 64)
export const beyond = fc.integer({ min: 130, max: 512 }).map(k => k / 64)
const backwards = fc.integer({ min: -128, max: 0 }).map(k => k / 64)
const anyStep = fc.oneof(
  { weight: 3, arbitrary: within },
  { weight: 1, arbitrary: beyond },
  { weight: 1, arbitrary: backwards },
)
const some: readonly Kind[] = ['all', 'columns', 'entries']

export const cases = (
  problem: fc.Arbitrary<Problem> = problems(anyTerms),
  relative: fc.Arbitrary<number> = anyStep,
): fc.Arbitrary<Case> => fc.record({ problem, relative })
/** Losses of one family, under masks of some kinds. */
export const of = (family: keyof typeof families, kinds: readonly Kind[] = some): fc.Arbitrary<Problem> =>
  problems(only(family), layouts(kinds))
/** A quadratic from a point along the eigenvector of PHP that is curved most: there L_P is reached. */
export const alongTop = (
  family: 'isotropic' | 'separable' | 'quadratic' | 'indefinite' = 'quadratic',
): fc.Arbitrary<Problem> =>
  fc
    .tuple(of(family), fc.integer({ min: 1, max: 64 }))
    .map(([problem, length]) => ({ ...problem, at: along(problem, length / 16) }))
    .filter(problem => curvature(problem).part > 2 ** -6)
const along = ({ at, terms: [term] }: Problem, length: number) => ({
  ...at,
  data: Float64Array.from(term!.top!, x => x * length),
})

/** The claim that a step obeys f(W⁺) ≤ f(W) − η(1 − ηL_P/2)‖P∇f‖², or a mutant of it. */
interface Claim {
  readonly mistakes?: Mistakes
  readonly square?: 'masked' | 'full'
  readonly lipschitz?: keyof Curvature
  readonly factor?: number
}
const obeys = (
  subject: Case,
  { mistakes = {}, square = 'masked', lipschitz = 'part', factor = 1 }: Claim = {},
): boolean => {
  const outcome = step(subject, mistakes)
  const L = factor * curvature(subject.problem)[lipschitz]
  return (
    outcome.after <= bound(outcome, square === 'full' ? outcome.full : outcome.gradientNorm ** 2, L) + outcome.error
  )
}
const step = ({ problem, relative }: Case, mistakes: Mistakes = {}): Outcome & { readonly error: number } => {
  const outcome = stepper(problem, mistakes).run(problem.at, etaOf(problem, relative))
  return { ...outcome, error: stepError(problem, outcome, float64) }
}
/** One mutant for each of some families. */
const each = <K extends keyof typeof families, C>(
  names: readonly K[],
  what: string,
  mutant: (family: K) => Mutant<C>,
): Theorem<C>['mutants'] => Object.fromEntries(names.map(family => [`${what}: ${family}`, mutant(family)]))
const ofColumns = problems(anyTerms, layouts(['columns']))
const ofEntries = problems(anyTerms, layouts(['entries']))

export const inequality: Theorem<Case> = {
  statement:
    '1: f(W⁺) ≤ f(W) − η(1 − ηL_P/2)‖P∇f‖² for every loss, every mask and every real η, with the curvature L_P inside the mask',
  cases: cases(),
  property: subject => obeys(subject),
  mutants: {
    ...each(['isotropic', 'separable', 'quadratic'], 'L_P too small, along the top eigenvector of PHP', family => ({
      cases: cases(alongTop(family), within),
      property: subject => obeys(subject, { factor: 0.99 }),
    })),
    ...each(['leastSquares'], 'L_P too small', family => ({
      cases: cases(of(family), within),
      property: subject => obeys(subject, { factor: 0.5 }),
    })),
    ...each(['huber', 'logistic', 'sigmoid', 'softmax', 'logCosh'], 'L_P too small', family => ({
      cases: cases(of(family), within),
      property: subject => obeys(subject, { factor: 0.1 }),
    })),
    '‖∇f‖² in the place of ‖P∇f‖²': {
      cases: cases(problems(anyTerms), within),
      property: subject => obeys(subject, { square: 'full' }),
    },
    'the curvature outside of the mask in the place of that inside': {
      cases: cases(of('quadratic'), within),
      property: subject => obeys(subject, { lipschitz: 'outside' }),
    },
    'the gradient of the wrong columns': {
      cases: cases(ofColumns, within),
      property: subject => obeys(subject, { mistakes: { gradient: 'shifted' } }),
    },
    'an update of the wrong columns': {
      cases: cases(ofColumns, within),
      property: subject => obeys(subject, { mistakes: { write: 'shifted' } }),
    },
    'the gradient of the wrong entries': {
      cases: cases(ofEntries, within),
      property: subject => obeys(subject, { mistakes: { gradient: 'shifted' } }),
    },
  },
}

export const oneSided: Theorem<Case> = {
  statement:
    '1 and 2: on quadratics that are not convex, the largest eigenvalue λ of PHP from above, if positive, is enough for L_P',
  cases: cases(of('indefinite')),
  property: subject => obeys(subject, { lipschitz: 'above' }),
  mutants: {
    '0.9 λ is enough': {
      cases: cases(alongTop('indefinite'), within),
      property: subject => obeys(subject, { lipschitz: 'above', factor: 0.9 }),
    },
  },
}

/** A problem, and a direction. */
interface Toward {
  readonly problem: Problem
  readonly direction: readonly number[]
}
const toward = (problem: fc.Arbitrary<Problem>): fc.Arbitrary<Toward> =>
  problem.chain(p => matrix(p.at.sizes[0]!, p.at.sizes[1]!).map(({ data }) => ({ problem: p, direction: [...data] })))
const towardTop = (problem: fc.Arbitrary<Problem>): fc.Arbitrary<Toward> =>
  problem.map(p => ({ problem: p, direction: p.terms[0]!.top! }))

/**
 * ‖Q∇f(W + Qv) − Q∇f(W)‖ ≤ L‖Qv‖ and ‖QHQv‖ ≤ L‖Qv‖, for Q = P or all coordinates. The second where f is twice
 * differentiable.
 */
const smooth = ({ problem, direction }: Toward, on: 'masked' | 'whole', lipschitz: number): boolean => {
  const trained = trainedOf(problem)
  const inside = (x: ArrayLike<number>): Float64Array =>
    Float64Array.from(x, (y, i) => (on === 'whole' || trained[i] ? y : 0))
  const v = { ...problem.at, data: inside(direction) }
  const moved = { ...v, data: v.data.map((x, i) => x + problem.at.data[i]!) }
  const [here, there] = [gradientAt(problem, problem.at), gradientAt(problem, moved)]
  const change = norm({ ...v, data: inside(there.data.map((x, i) => x - here.data[i]!)) })
  // the sum W + v is rounded too
  const error =
    gradientError(problem, problem.at, float64) +
    gradientError(problem, moved, float64) +
    lipschitz * 2 * float64 * norm(moved)
  const most = lipschitz * norm(v) * (1 + 8 * float64)
  const twice = problem.terms.every(({ loss }) => loss !== 'huber')
  return (
    change <= most + error &&
    (!twice ||
      norm({ ...v, data: inside(hessianProduct(problem, problem.at, v).data) }) <=
        most + hessianError(problem, problem.at, v, float64))
  )
}

export const curvatureInside: Theorem<Toward> = {
  statement:
    '2: L_P ≤ L, and both bound what they say they bound: gradients inside the mask, all gradients, Hessian-vector products',
  cases: toward(problems(anyTerms)),
  property: subject => {
    const { whole, part } = curvature(subject.problem)
    return part <= whole && smooth(subject, 'masked', part) && smooth(subject, 'whole', whole)
  },
  mutants: {
    ...each(['isotropic', 'separable', 'quadratic', 'indefinite'], '0.99 L_P, on its top eigenvector', family => ({
      cases: towardTop(of(family)),
      property: subject => smooth(subject, 'masked', 0.99 * curvature(subject.problem).part),
    })),
    'L ≤ L_P': { property: ({ problem }) => curvature(problem).whole <= curvature(problem).part },
    'the curvature inside the mask bounds all gradients': {
      cases: toward(of('quadratic')),
      property: subject => smooth(subject, 'whole', curvature(subject.problem).part),
    },
    'the curvature outside of the mask bounds what is inside': {
      cases: toward(of('quadratic')),
      property: subject => smooth(subject, 'masked', curvature(subject.problem).outside),
    },
    'λmax of PHP bounds its norm, where it is not convex': {
      cases: towardTop(of('indefinite')),
      property: subject => smooth(subject, 'masked', curvature(subject.problem).above),
    },
  },
}

/** The change of the loss. It rests if P∇f = 0, or if the promised fall is lost in rounding. */
export const descends = (subject: Case, mistakes: Mistakes = {}): 'falls' | 'rises' | 'rests' => {
  const { eta, before, after, gradientNorm, error } = step(subject, mistakes)
  // not as before − bound: a fall below the last digit of the loss would be 0
  const promised = eta * (1 - (eta * curvature(subject.problem).part) / 2) * gradientNorm ** 2
  if (gradientNorm === 0 || (promised > 0 && promised <= error)) return 'rests'
  return after < before ? 'falls' : 'rises'
}

export const descent: Theorem<Case> = {
  statement: '3: the loss falls if 0 < η, ηL_P < 2 and P∇f ≠ 0',
  cases: cases(problems(anyTerms), within),
  property: subject => descends(subject) !== 'rises',
  mutants: {
    'it falls for ηL_P > 2, along the top eigenvector of PHP': {
      cases: cases(alongTop(), beyond),
      property: subject => descends(subject) !== 'rises',
    },
    'it falls with the gradient of the wrong columns': {
      cases: cases(ofColumns, within),
      property: subject => descends(subject, { gradient: 'shifted' }) !== 'rises',
    },
    'it falls where P∇f = 0': { property: subject => step(subject).after < step(subject).before },
  },
}

/** The gap between both sides, and the largest gap that rounding can cause. */
export const gap = (subject: Case): { readonly gap: number; readonly error: number; readonly loss: number } => {
  const outcome = step(subject)
  const right = bound(outcome, outcome.gradientNorm ** 2, curvature(subject.problem).part)
  return { gap: Math.abs(outcome.after - right), error: outcome.error, loss: outcome.before + outcome.after }
}
const equality = (subject: Case): boolean => {
  const { gap: between, error } = gap(subject)
  return between <= error
}
export const tight: Theorem<Case> = {
  statement: '7: equality is met on f = L/2‖W‖², for every mask and every real η, to rounding',
  cases: cases(of('isotropic', ['all', 'columns', 'entries', 'frozen'])),
  property: equality,
  mutants: {
    'equality on any quadratic': { cases: cases(of('quadratic')), property: equality },
    'equality on the logistic loss': { cases: cases(of('logistic')), property: equality },
  },
}

export const frozenUnchanged: Theorem<Case> = {
  statement: '7: a step leaves every coordinate outside the mask bit-identical',
  cases: cases(),
  property: subject => frozenKept(subject.problem, step(subject)),
  mutants: {
    'so does a step without the mask': {
      property: subject => frozenKept(subject.problem, step(subject, { mask: 'ignored' })),
    },
    'so does an update of the wrong columns': {
      cases: cases(ofColumns, within),
      property: subject => frozenKept(subject.problem, step(subject, { write: 'shifted' })),
    },
  },
}

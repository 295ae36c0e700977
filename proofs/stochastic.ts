import fc from 'fast-check'
import type { Numbers } from '../src/tensor/index.ts'
import { bound, etaOf, stepper, type Mistakes } from './descent.ts'
import { layouts, type Kind, type Layout } from './layout.ts'
import { families, layers, noise, type Term } from './losses.ts'
import { mapped, norm } from './matrices.ts'
import { within } from './one-step.ts'
import { curvature, problems, type Problem } from './problem.ts'
import { float64, gradientError, stepError, valueError, type Moved } from './rounding.ts'
import type { Theorem } from './theorem.ts'

/** Statement 5: gradient descent on samples, over every outcome of a finite sample space. */

type Data = Term['data']
/** An outcome: its probability, and the data of the terms whose gradient is followed. */
interface Outcome {
  readonly probability: number
  readonly data: readonly Data[]
}
/** F, and samples whose gradients have the mean ∇F: P∇F inside every mask P. */
export interface Sampled {
  readonly problem: Problem
  readonly samples: readonly Outcome[]
  readonly relative: number
}

const subsets = (n: number, size: number): readonly (readonly number[])[] =>
  size === 0
    ? [[]]
    : Array.from({ length: n }, (_, last) => subsets(last, size - 1).map(rest => [...rest, last])).flat()

/** The mean over rows in the place of the sum, and batches of it: a batch gives each of its rows a weight q. */
const batches = (
  problem: Problem,
  of: (rows: number) => readonly { readonly probability: number; readonly q: readonly number[] }[],
) => {
  const [term] = problem.terms
  const rows = term!.data.q!.data.length
  const drawn = of(rows)
  const most = Math.max(1, ...drawn.flatMap(({ q }) => q))
  const weighted = (q: readonly number[]): Data => ({
    ...term!.data,
    q: { sizes: [rows, 1], data: Float64Array.from(q) },
  })
  const mean: Term = {
    ...term!,
    data: weighted(Array<number>(rows).fill(1 / rows)),
    ...mapped(term!, bound => bound / rows),
    // one multiplication by q more, and the rounding of q
    rounding: { ...term!.rounding, terms: term!.rounding.terms + 2, weight: most },
  }
  return {
    problem: { ...problem, terms: [mean] },
    samples: drawn.map(({ probability, q }) => ({ probability, data: [weighted(q)] })),
  }
}
/** Every batch of `size` rows, all with the same probability. */
const uniform = (size: number) => (rows: number) => {
  const all = subsets(rows, Math.min(size, rows))
  return all.map(batch => ({
    probability: 1 / all.length,
    q: Array.from({ length: rows }, (_, i) => (batch.includes(i) ? 1 / batch.length : 0)),
  }))
}
/** Single rows with unequal probabilities, each divided by its own: importance sampling; a mutant forgets to divide. */
const importance =
  (shares: readonly number[], divided = true) =>
  (rows: number) => {
    const drawn = shares.slice(0, rows)
    const total = drawn.reduce((a, b) => a + b, 0)
    return drawn.map((share, row) => ({
      probability: share / total,
      q: drawn.map((_, i) => (i !== row ? 0 : divided ? total / share / rows : 1)),
    }))
  }

const some: readonly Kind[] = ['all', 'columns', 'entries']
const ofRows = problems(
  layout => fc.oneof(...layers.map(family => families[family](layout))).map(term => [term]),
  layouts(some),
)
const shares = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 4, maxLength: 4 })
const withStep = (space: fc.Arbitrary<Omit<Sampled, 'relative'>>): fc.Arbitrary<Sampled> =>
  fc.tuple(space, within).map(([sampled, relative]) => ({ ...sampled, relative }))

const minibatches = withStep(
  fc.tuple(ofRows, fc.integer({ min: 1, max: 3 })).map(([problem, size]) => batches(problem, uniform(size))),
)
const weighted = (divided = true): fc.Arbitrary<Sampled> =>
  withStep(fc.tuple(ofRows, shares).map(([problem, given]) => batches(problem, importance(given, divided))))

/** F + ⟨Cₛ, W⟩ with Σ Cₛ = 0: noise of any size, on a loss for which the bound is met with equality. */
export const additive = (family: 'isotropic' | 'quadratic' | 'indefinite'): fc.Arbitrary<Sampled> => {
  const terms = (layout: Layout): fc.Arbitrary<readonly Term[]> =>
    fc
      .tuple(families[family](layout), fc.array(noise(layout), { minLength: 1, maxLength: 3 }))
      .map(([f, noises]) => [f, ...noises])
  return withStep(
    problems(terms, layouts(some)).map(problem => {
      const [f, ...noises] = problem.terms
      const like = noises[0]!.data.C!
      const all = noises.map(({ data }) => data.C!.data)
      const drawn = [...all, like.data.map((_, i) => -all.reduce((sum, c) => sum + c[i]!, 0))]
      const none: Term = { ...noises[0]!, data: { C: { ...like, data: like.data.map(() => 0) } } }
      const largest = Math.max(...drawn.map(data => norm({ ...like, data })))
      return {
        problem: { ...problem, terms: [f!, { ...none, rounding: { ...none.rounding, offset: largest } }] },
        samples: drawn.map(data => ({ probability: 1 / drawn.length, data: [f!.data, { C: { ...like, data } }] })),
      }
    }),
  )
}

/** A step along the gradient of one sample, with F before and after it; and that gradient, inside the mask. */
interface Drawn {
  readonly probability: number
  readonly moved: Moved
  readonly gradient: readonly Numbers[]
}
/** The two sides of the theorem, by enumeration, and the distance that rounding can move them. */
interface Sides {
  readonly left: number
  readonly fall: number
  readonly noise: number
  readonly error: number
  readonly bias: number
}
export const sidesOf = (
  problem: Problem,
  here: Moved & { readonly partial: readonly Numbers[] },
  drawn: readonly Drawn[],
  u: number,
): Sides => {
  const { eta } = here
  const { part } = curvature(problem)
  const delta = gradientError(problem, here.at, u)
  const expected = (of: (sample: Drawn) => number): number => drawn.reduce((sum, s) => sum + s.probability * of(s), 0)
  const mean = here.partial.map(({ sizes, data }, l) => ({
    sizes,
    data: data.map((_, i) => expected(s => s.gradient[l]!.data[i]!)),
  }))
  const variance = expected(s => distance(s.gradient, here.partial) ** 2)
  // each sample is a step of F along its own gradient; in their mean, terms linear in g − P∇F are 0 up to the errors of
  // both
  const error =
    valueError(problem, here.at, u) +
    expected(({ moved }) => {
      const reach = moved.gradientNorm + here.gradientNorm
      return stepError(problem, { ...moved, gradientNorm: reach }, u) + 2 * eta * (1 + eta * part) * delta * reach
    })
  return {
    left: expected(({ moved }) => moved.after),
    fall: bound(here, here.gradientNorm ** 2, part),
    noise: (eta ** 2 * part * variance) / 2,
    error,
    bias: distance(mean, here.partial) - 4 * delta,
  }
}
const distance = (g: readonly Numbers[], h: readonly Numbers[]): number =>
  norm(...g.map(({ sizes, data }, l) => ({ sizes, data: data.map((x, i) => x - h[l]!.data[i]!) })))
const sides = ({ problem, samples, relative }: Sampled, mistakes: Mistakes = {}): Sides => {
  const eta = etaOf(problem, relative)
  const masked = stepper(problem)
  const stepping = stepper(problem, mistakes)
  const here = masked.run(problem.at, eta)
  return sidesOf(
    problem,
    here,
    samples.map(({ probability, data }) => {
      const moved = stepping.run(problem.at, eta, data)
      return {
        probability,
        moved: { ...moved, before: here.before, after: stepping.value(moved.next) },
        gradient: masked.run(problem.at, eta, data).partial,
      }
    }),
    float64,
  )
}
/** Tests whether the bound holds with a share of its last term. */
export const holds = ({ left, fall, noise: term, error }: Sides, share = 1): boolean =>
  left <= fall + share * term + error
const bounded = (subject: Sampled, share = 1, mistakes: Mistakes = {}): boolean =>
  holds(sides(subject, mistakes), share)

export const spaces = fc.oneof(
  minibatches,
  weighted(),
  additive('isotropic'),
  additive('quadratic'),
  additive('indefinite'),
)

export const stochastic: Theorem<Sampled> = {
  statement:
    '5: with E g = P∇F and E‖g − P∇F‖² ≤ σ², E F(W⁺) ≤ F − η(1 − ηL_P/2)‖P∇F‖² + η²L_Pσ²/2: every batch, importance sampling, noise',
  cases: spaces,
  property: subject => sides(subject).bias <= 0 && bounded(subject),
  mutants: {
    'without η²L_Pσ²/2': { property: subject => bounded(subject, 0) },
    '0.9 σ² for σ²': { cases: additive('isotropic'), property: subject => bounded(subject, 0.9) },
    'samples drawn unequally, without their weights': { cases: weighted(false), property: subject => bounded(subject) },
    'their mean is the gradient': { cases: weighted(false), property: subject => sides(subject).bias <= 0 },
    'the variance inside the mask for an update of everything': {
      cases: additive('isotropic'),
      property: subject => bounded(subject, 1, { mask: 'ignored' }),
    },
  },
}

import { test } from 'node:test'
import fc from 'fast-check'
import { bound, frozenKept } from './descent.ts'
import { layouts, trainedOf, type Kind, type Mistake } from './layout.ts'
import { anyTerms, nonNegative, only } from './losses.ts'
import { matrix, norm } from './matrices.ts'
import { curvature, gradientAt, problems, type Problem } from './problem.ts'
import { boundedBy, least } from './rate.ts'
import { float64, stepError, type Moved } from './rounding.ts'
import { steppingOn, unitOf, type On } from './sessions.ts'
import { additive, holds, sidesOf, spaces, type Sampled } from './stochastic.ts'
import { prove, type Tally, type Theorem } from './theorem.ts'
import type { Numbers } from '../src/tensor/index.ts'

/** A problem, and steps of several units each from points of its slice W⁰ + range P: one session takes them all. */
interface Steps {
  readonly problem: Problem
  readonly points: readonly { readonly from: Numbers; readonly units: number }[]
}
const within = fc.integer({ min: 1, max: 63 })
const anyUnits = fc.oneof(
  { weight: 3, arbitrary: within },
  { weight: 1, arbitrary: fc.integer({ min: -128, max: 256 }) },
)
const steps = (
  problem: fc.Arbitrary<Problem>,
  units: fc.Arbitrary<number> = anyUnits,
  count = 8,
): fc.Arbitrary<Steps> =>
  problem.chain(p =>
    fc
      .array(fc.record({ from: matrix(p.at.sizes[0]!, p.at.sizes[1]!), units }), { minLength: count, maxLength: count })
      .map(points => ({ problem: p, points })),
  )
const trains = layouts().filter(layout => trainedOf(layout).includes(true))
const isotropic = problems(only('isotropic'), layouts(['all', 'columns', 'entries']))
const masked = (kind: Kind): fc.Arbitrary<Problem> => problems(anyTerms, layouts([kind]))

/** A problem with f ≥ 0, and several steps of several units. */
interface Descent {
  readonly problem: Problem
  readonly units: number
  readonly count: number
}
const descents = (problem: fc.Arbitrary<Problem>, least: number): fc.Arbitrary<Descent> =>
  fc.record({ problem, units: within, count: fc.integer({ min: least, max: 12 }) })
const descentOn = async (target: On, { problem, units, count }: Descent): Promise<readonly Moved[]> => {
  const { run, close } = await steppingOn(target, problem)
  try {
    const done = [await run(units, problem.at)]
    while (done.length < count) done.push(await run(units, done.at(-1)!.next))
    return done
  } finally {
    await close()
  }
}
const rateOn = (target: On): Theorem<Descent> => {
  const rate =
    (of: (done: readonly Moved[]) => number) =>
    async (subject: Descent): Promise<boolean> => {
      const done = await descentOn(target, subject)
      return boundedBy(subject.problem, done, of(done), unitOf(target))
    }
  return {
    statement: `on ${target}: the least ‖P∇f‖² of N steps is at most (f⁰ − f_inf)/(Nη(1 − ηL_P/2))`,
    cases: descents(problems(nonNegative, trains), 1),
    property: rate(least),
    mutants: {
      [`the largest for the least, on ${target}`]: {
        cases: descents(isotropic, 6),
        property: rate(done => Math.max(...done.map(({ gradientNorm }) => gradientNorm ** 2))),
      },
    },
  }
}

/**
 * A session that follows the gradient of each sample from the same point: the statement of `stochastic` about their
 * mean.
 */
const stochasticOn = (target: On): Theorem<Sampled> => {
  const sides = async ({ problem, samples, relative }: Sampled) => {
    // as many units as fit in the step size
    const { run, close } = await steppingOn(target, problem)
    const units = Math.max(1, Math.floor(relative * 31))
    try {
      const here = await run(units, problem.at)
      const drawn = []
      for (const { probability, data } of samples) {
        const moved = await run(units, problem.at, data)
        drawn.push({ probability, moved, gradient: moved.partial })
      }
      return sidesOf(problem, here, drawn, unitOf(target))
    } finally {
      await close()
    }
  }
  return {
    statement: `on ${target}: E F(W⁺) ≤ F − η(1 − ηL_P/2)‖P∇F‖² + η²L_Pσ²/2`,
    cases: spaces,
    property: async subject => {
      const both = await sides(subject)
      return both.bias <= 0 && holds(both)
    },
    mutants: {
      [`0.9 σ² for σ², on ${target}`]: {
        cases: additive('isotropic'),
        property: async subject => holds(await sides(subject), 0.9),
      },
    },
  }
}

type Claim = (moved: Moved, problem: Problem, u: number) => boolean
/** Every step of a session obeys a claim. */
const everyStep =
  (target: On, claim: Claim, mistake?: Mistake) =>
  async ({ problem, points }: Steps): Promise<boolean> => {
    const { run, close } = await steppingOn(target, problem, mistake)
    try {
      for (const { from, units } of points) if (!claim(await run(units, from), problem, unitOf(target))) return false
      return true
    } finally {
      await close()
    }
  }
const own = ({ gradientNorm }: Moved): number => gradientNorm ** 2
const obeys =
  (factor: number, square: (moved: Moved, problem: Problem) => number = own): Claim =>
  (moved, problem, u) =>
    moved.after <= bound(moved, square(moved, problem), factor * curvature(problem).part) + stepError(problem, moved, u)
const falls: Claim = (moved, problem, u) => {
  const { part } = curvature(problem)
  const promised = moved.before - bound(moved, moved.gradientNorm ** 2, part)
  return (
    !(moved.eta > 0 && moved.eta * part < 2) || promised <= stepError(problem, moved, u) || moved.after < moved.before
  )
}
const equality =
  (u?: number): Claim =>
  (moved, problem, own) =>
    Math.abs(moved.after - bound(moved, moved.gradientNorm ** 2, curvature(problem).part)) <=
    stepError(problem, moved, u ?? own)
const ofAll = ({ at }: Moved, problem: Problem): number => norm(gradientAt(problem, at)) ** 2
const ofMask = (moved: Moved, problem: Problem): number => {
  const trained = trainedOf(problem)
  const { data, sizes } = gradientAt(problem, moved.at)
  return norm({ sizes, data: data.map((g, i) => (trained[i] ? g : 0)) }) ** 2
}

const theoremsOn = (target: On): readonly Theorem<Steps>[] => [
  {
    statement: `on ${target}: a step obeys f(W⁺) ≤ f(W) − η(1 − ηL_P/2)‖P∇f‖², falls if 0 < ηL_P < 2, and leaves frozen coordinates bit-identical`,
    cases: steps(problems(anyTerms, trains)),
    property: everyStep(
      target,
      (moved, problem, u) => obeys(1)(moved, problem, u) && falls(moved, problem, u) && frozenKept(problem, moved),
    ),
    mutants: {
      [`0.9 L_P on f = L/2‖W‖², on ${target}`]: {
        cases: steps(isotropic, within),
        property: everyStep(target, obeys(0.9)),
      },
      [`‖∇f‖² in the place of ‖P∇f‖², on ${target}`]: {
        cases: steps(problems(anyTerms, trains), within),
        property: everyStep(target, obeys(1, ofAll)),
      },
      [`a session of the wrong columns, on ${target}`]: {
        cases: steps(masked('columns'), within),
        property: everyStep(target, obeys(1, ofMask), 'shifted'),
      },
      [`it falls for ηL_P > 2, on ${target}`]: {
        cases: steps(isotropic, fc.integer({ min: 130, max: 256 })),
        property: everyStep(target, moved => moved.after < moved.before),
      },
      [`a session without the mask keeps frozen coordinates, on ${target}`]: {
        cases: steps(masked('columns'), within),
        property: everyStep(target, (moved, problem) => frozenKept(problem, moved), 'ignored'),
      },
    },
  },
  {
    statement: `on ${target}: equality is met on f = L/2‖W‖², to its own rounding`,
    cases: steps(isotropic),
    property: everyStep(target, equality()),
    mutants: {
      [`equality on any quadratic, on ${target}`]: {
        cases: steps(problems(only('quadratic'), trains)),
        property: everyStep(target, equality()),
      },
      ...(target === 'reference'
        ? {}
        : { [`to the rounding of float64, on ${target}`]: { property: everyStep(target, equality(float64)) } }),
    },
  },
]

const tally: Tally = { cases: 0 }
for (const target of ['reference', 'cpu', 'wasm'] as const) {
  const [law, equal] = theoremsOn(target)
  prove(law!, 80, tally, ({ points }) => points.length)
  prove(equal!, 20, tally, ({ points }) => points.length)
  prove(rateOn(target), 15, tally, ({ count }) => count)
  prove(stochasticOn(target), 25, tally, ({ samples }) => samples.length)
}
test('steps of sessions', t => {
  t.diagnostic(`${tally.cases} steps`)
})

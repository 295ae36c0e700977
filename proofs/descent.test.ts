import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ascent, changingBatch, partialStationarity, stationarity } from './counterexamples.ts'
import { scaleOf } from './descent.ts'
import { anyTerms } from './losses.ts'
import {
  alongTop,
  cases,
  curvatureInside,
  descends,
  descent,
  frozenUnchanged,
  gap,
  inequality,
  of,
  oneSided,
  tight,
} from './one-step.ts'
import { curvature, problems } from './problem.ts'
import { rateOfGradients } from './rate.ts'
import { stochastic } from './stochastic.ts'
import { prove, type Tally } from './theorem.ts'

const tally: Tally = { cases: 0 }
prove(inequality, 3000, tally)
prove(oneSided, 1000, tally)
prove(curvatureInside, 1000, tally)
prove(descent, 2000, tally)
prove(tight, 1500, tally)
prove(frozenUnchanged, 1000, tally)
prove(rateOfGradients, 400, tally)
prove(stochastic, 400, tally)
prove(changingBatch, 300, tally)
prove(partialStationarity, 150, tally)
prove(stationarity, 50, tally)
prove(ascent, 300, tally)

test('the equality case is met to rounding', t => {
  const gaps = fc.sample(cases(of('isotropic')), 300).map(gap)
  const most = (share: (one: (typeof gaps)[number]) => number): string =>
    Math.max(...gaps.filter(one => one.gap > 0).map(share)).toExponential(1)
  t.diagnostic(
    `on L/2‖W‖² both sides differ by at most ${most(one => one.gap / one.loss)} of the losses, ${most(one => one.gap / one.error)} of the bound on rounding`,
  )
  assert.ok(gaps.every(one => one.gap <= one.error))
})

test('at η = 1.9/L all descend, at η = 2.1/L some ascend', t => {
  const subjects = [...fc.sample(problems(anyTerms), 300), ...fc.sample(alongTop(), 100)]
  for (const L of ['part', 'whole'] as const) {
    const counts = (units: number) => {
      const done = subjects.map(problem =>
        descends({ problem, relative: (units * scaleOf(problem)) / Math.max(curvature(problem)[L], scaleOf(problem)) }),
      )
      const of = (what: string): number => done.filter(one => one === what).length
      return { fall: of('falls'), rise: of('rises'), rest: of('rests') }
    }
    const below = counts(1.9)
    const above = counts(2.1)
    const name = L === 'part' ? 'L_P' : 'L'
    const line = ({ fall, rise, rest }: typeof below): string =>
      `${fall} fall, ${rise} rise, ${rest} are where P∇f = 0 to rounding`
    t.diagnostic(`of ${subjects.length} problems, η = 1.9/${name}: ${line(below)}; η = 2.1/${name}: ${line(above)}`)
    assert.equal(below.rise, 0)
    assert.ok(below.fall > 300 && above.rise > 20)
  }
})

test('the theorems were tested on at least 10 000 cases', t => {
  t.diagnostic(`${tally.cases} cases`)
  assert.ok(tally.cases >= 10_000)
})

import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ours, type Outcome } from '../measure.ts'
import type { Measurement } from '../measurement.ts'
import { bounded, comparedTo, figure, single, type Figure, type Row } from '../table.ts'
import type { Case } from './case.ts'

const subjects = [
  // random weights: L grows some tenfold along the run, and half of 1/L at the first weights is soon above 2/L
  { model: 'four layers', target: 'wasm', rows: 2, seq: 64, steps: 20, iterations: 12, lr: 0.05 },
  { model: 'SmolLM2', target: 'graph', rows: 4, seq: 64, steps: 20, iterations: 12 },
] as const

/** Theorem 1 along gradient descent inside PaCA's columns. */
export const descent: Case = {
  name: 'descent',
  about: 'gradient descent beside Theorem 1: L inside PaCA’s columns, L of all weights, violations',
  optional: true,
  run: async ({ quick, alternate }) => {
    const rows: Row[] = []
    for (const options of quick ? subjects.slice(0, 1) : subjects) {
      const name = `${options.model}, ${options.target}, ${options.rows} × ${options.seq}`
      const outcome: Outcome =
        (await alternate([ours(`descent of ${name}`, 'descent', options)], 1)).get(`descent of ${name}`) ??
        E.left('not measured')
      const of = (
        fact: string,
        unit: '' | 'steps' = '',
        read: (facts: Measurement['facts']) => number = facts => Number(facts[fact]),
      ): Figure =>
        pipe(
          outcome,
          E.flatMap(({ facts }) => single(read(facts), unit)),
        )
      rows.push(
        comparedTo(
          `${name}: L estimated inside 8 columns`,
          of('partCurvature'),
          'of all weights',
          of('allCurvature'),
          1,
        ),
        bounded(
          `${name}: steps of ${options.steps} that did not descend`,
          of('', 'steps', ({ steps, descended }) => Number(steps) - Number(descended)),
          'none',
          0,
        ),
        bounded(`${name}: steps that violate the inequality`, of('violations', 'steps'), 'none', 0),
        comparedTo(
          `${name}: L that the steps needed`,
          of('largestNeeded'),
          'the largest L estimated',
          of('largestCurvature'),
          1,
        ),
        comparedTo(`${name}: least ‖∇P‖²`, of('leastSquaredGradient'), 'statement 4', of('gradientBound'), 1),
        {
          what: `${name}: from step to step, estimate included`,
          ours: figure(outcome),
          peer: undefined,
          ratio: undefined,
          asked: '',
          met: undefined,
        },
      )
    }
    return { rows, tables: [] }
  },
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { certificateText } from '../../src/verify/index.ts'
import { canonicalJson, certificateOf, digestOf } from '../../src/verify/certificate.ts'
import type { VerifiedRun } from '../../src/verify/certificate-format.ts'
import {
  certified,
  curvatureOf,
  estimatedRun,
  gradientDescent,
  messageOf,
  quadratics,
  runOf,
  signRun,
  type Quadratic,
} from '../support/certificates.ts'

const of: Quadratic = { eigenvalues: [1, 3, 2], trained: [true, false, true], start: [1, 2, -1] }
const run = runOf(of, 1, 8)

test('canonical JSON is equal for equal data, whatever the order of keys, and parses back to it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer(), (value, seed) => {
      const shuffled = (x: unknown): unknown =>
        Array.isArray(x)
          ? x.map(shuffled)
          : typeof x === 'object' && x !== null
            ? Object.fromEntries(
                Object.entries(x)
                  .map(([k, v], i): [string, unknown, number] => [k, shuffled(v), Math.sin(seed + i)])
                  .sort((a, b) => a[2] - b[2])
                  .map(([k, v]) => [k, v]),
              )
            : x
      assert.equal(canonicalJson(shuffled(value)), canonicalJson(value))
      assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value))
    }),
  )
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: 'x' }], a: -0, skipped: undefined }),
    '{"a":0,"b":[1,{"c":"x","d":null}]}',
  )
})
test('a certificate is plain JSON: its text is itself, the digest is that of its content, and the same run has the same certificate', () => {
  fc.assert(
    fc.property(
      quadratics,
      fc.integer({ min: 1, max: 160 }),
      fc.integer({ min: 1, max: 9 }),
      (of, sixty4ths, count) => {
        const made = certified(runOf(of, sixty4ths / 64, count))
        const read: unknown = JSON.parse(certificateText(made))
        assert.equal(canonicalJson(read), canonicalJson(made))
        assert.equal(made.digest, digestOf({ ...made }))
        assert.equal(certified(runOf(of, sixty4ths / 64, count)).digest, made.digest)
        assert.doesNotMatch(certificateText(made), /NaN|Infinity/)
      },
    ),
  )
})
test('claims are made of gradient descent under a proved curvature, of one batch, without a violation; otherwise of nothing', () => {
  const [inequality, rate] = certified(run).claims
  assert.match(inequality!, /^in exact arithmetic every one of the 8 steps obeys the inequality, for L = 2$/)
  assert.match(rate!, /up to 0\.9999999999999999 lowers the loss/)
  const batches = run.steps.map((step, k) => ({ ...step, batch: k }))
  const broken = run.steps.slice(0, 1).map(step => ({ ...step, next: step.loss * 1.5 }))
  for (const [why, other] of [
    ['an estimate', estimatedRun(run)],
    ['another update', signRun(of, 8)],
    ['an update of an estimate', estimatedRun(signRun(of, 8))],
    ['several batches', { ...run, steps: batches }],
    ['a violation', { ...run, steps: broken }],
    [
      'momentum',
      {
        ...run,
        steps: run.steps.map(step => ({
          ...step,
          directional: -0.01 * step.gradNorm ** 2,
          squared: (0.02 * step.gradNorm) ** 2,
        })),
      },
    ],
  ] as const)
    assert.deepEqual(certified(other).claims, [], why)
  assert.equal(certified({ ...run, steps: broken }).summary.violations, 1)
})
test('the statement is the form that the steps are held to, and an estimate comes with its caution and says what it assumes', () => {
  assert.match(certified(run).statement, /η\(1 − ηL\/2\)‖P∇f\(W\)‖²/)
  assert.match(certified(signRun(of, 3)).statement, /⟨P∇f\(W\), u⟩ \+ L\/2 ‖u‖²/)
  const { curvature, assumed } = certified(estimatedRun(run))
  assert.ok(curvature.kind === 'estimated' && /neither a bound/.test(curvature.caution))
  assert.ok(assumed.some(text => /at most the estimate, which nothing here proves/.test(text)))
  assert.ok(assumed.includes('nothing else ran on the machine'))
  assert.ok(certified(run).assumed.includes('the features are what was computed of the frozen part'))
})
test('of each mask it is said whether its estimate was at most that of all weights', () => {
  assert.deepEqual(
    certified(run).masks?.parts.map(({ atMostAll }) => atMostAll),
    [true],
  )
  const masks = {
    ...run.masks!,
    parts: run.masks!.parts.map(part => ({ ...part, curvature: { ...part.curvature, value: 3.5 } })),
  }
  assert.deepEqual(
    certified({ ...run, masks }).masks?.parts.map(({ atMostAll }) => atMostAll),
    [false],
  )
})

const step = (change: Partial<VerifiedRun['steps'][number]>, at = 2): VerifiedRun => ({
  ...run,
  steps: run.steps.map((s, k) => (k === at ? { ...s, ...change } : s)),
})
for (const [what, bad, sentence] of [
  ['no steps', { ...run, steps: [] }, /^there are no steps$/],
  ['a mask that selects nothing', { ...run, subject: { ...run.subject, trained: 0 } }, /^the mask selects nothing/],
  [
    'a rate of 0',
    { ...run, steps: gradientDescent(of, 0, 2), optimizer: { ...run.optimizer, lr: 0 } },
    /^step 0 has the rate 0: expected a rate above 0$/,
  ],
  [
    'a rate below 0',
    { ...run, steps: gradientDescent(of, -0.1, 2), optimizer: { ...run.optimizer, lr: -0.1 } },
    /^step 0 has the rate -0\.1/,
  ],
  ["a rate that is not the optimizer's", step({ rate: 0.1 }), /^step 2 has the rate 0\.1, the optimizer 0\.5$/],
  ['a run that diverged', step({ next: NaN }), /^steps\.2\.next is NaN: expected a finite number$/],
  ['an infinite loss', step({ loss: Infinity }), /^steps\.2\.loss is Infinity/],
  ['a negative norm', step({ gradNorm: -1 }), /^step 2 has a gradient of norm -1$/],
  [
    'a gradient too large to square',
    { ...run, steps: [{ ...run.steps[0]!, gradNorm: 1e200 }] },
    /too large to compare$/,
  ],
  ['a curvature below 0', step({ curvature: -1 }), /^step 2 has the curvature -1$/],
  [
    'a step held to another curvature than the proved one',
    step({ curvature: 1 }),
    /^step 2 is held to the curvature 1, where 2 is proved$/,
  ],
  [
    'an estimate that is not the largest',
    { ...estimatedRun(run), steps: run.steps.map(s => ({ ...s, curvature: 1 })) },
    /^the estimated curvature is 2, where the largest of its steps is 1$/,
  ],
  [
    'a step that begins elsewhere',
    step({ loss: 9, next: 8 }),
    /^step 1 ends with the loss [\d.]+, step 2, of the same batch, begins with 9$/,
  ],
  [
    'a directional derivative without a norm',
    step({ directional: -1 }),
    /^step 2 has only one of directional and squared$/,
  ],
  [
    'two kinds of steps',
    step({ directional: -1e-9, squared: 1 }),
    /^step 2 is not one of plain gradient descent, step 0 is$/,
  ],
  [
    'a step of Adam without its update',
    { ...run, optimizer: { ...run.optimizer, name: 'adam' } },
    /^step 0 has neither directional nor squared, which a step of adam needs$/,
  ],
  [
    'a directional derivative beyond Cauchy-Schwarz',
    { ...run, steps: [{ ...run.steps[0]!, directional: -100, squared: 1 }] },
    /more than the norms of its gradient and update allow$/,
  ],
  [
    'a loss below the lowest',
    { ...run, lowest: 10 },
    /^step 0 has the loss [\d.]+, below 10, which no loss is said to be$/,
  ],
  [
    'data without a hash',
    { ...run, subject: { ...run.subject, data: 'rows.jsonl' } },
    /^the SHA-256 of the data is "rows\.jsonl"/,
  ],
  [
    'a rounding that leaves nothing',
    { ...run, rounding: { unit: 0.5, multiple: 2 } },
    /^a relative rounding of 2 × 0\.5 is none below 1$/,
  ],
  [
    'a part larger than all',
    { ...run, masks: { ...run.masks!, all: { ...run.masks!.all, trained: 1 } } },
    /^the mask paca trains 2 parameters, more than the 1 of all weights$/,
  ],
] as const satisfies readonly (readonly [string, VerifiedRun, RegExp])[]) {
  test(`no certificate is made of ${what}`, () => {
    assert.match(messageOf(certificateOf(bad)), sentence)
  })
}
test('each of those runs differs from one that is certified', () => {
  assert.ok(E.isRight(certificateOf(run)))
  assert.equal(curvatureOf(of), 2)
})

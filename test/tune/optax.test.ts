import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  concat,
  f32,
  interpret,
  matmul,
  mul,
  reshape,
  scalar,
  slice,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import * as tune from '../../src/tune/index.ts'
import type { Fn, Schedule, Transform } from '../../src/tune/index.ts'
import { schedule as of } from '../../src/train/index.ts'
import { history, size } from '../support/trajectories.ts'

// Trajectories and schedules of optax 0.2.8 in float64: test/golden/optax/make_optax.py.

interface Golden {
  readonly H: readonly (readonly number[])[]
  readonly start: readonly number[]
  readonly failing: readonly number[]
  readonly trajectories: Readonly<Record<string, readonly (readonly number[])[]>>
  readonly schedules: Readonly<Record<string, readonly number[]>>
}
const golden = JSON.parse(readFileSync(new URL('../golden/optax/optax.json', import.meta.url), 'utf8')) as Golden

const { chain, scale, sgd } = tune
const [b1, b2, d] = [0.875, 1 - 2 ** -10, 0.875] as const
const smallest = 3

const transforms: Readonly<Record<string, Transform<Fn>>> = {
  rmsprop: tune.rmsprop({ lr: 0.02, decay: d, eps: 1e-6 }),
  rmsprop_momentum: chain(tune.rmsprop({ lr: 0.01, decay: d }), tune.trace({ decay: 0.5 })),
  rmsprop_centered: chain(tune.scaleByStddev({ decay: d, eps: 1e-3 }), scale(-0.01)),
  adagrad: tune.adagrad({ lr: 0.1 }),
  adagrad_from_zero: tune.adagrad({ lr: 0.1, initial: 0, eps: 1e-6 }),
  adadelta: tune.adadelta({ lr: 1, decay: d, eps: 1e-4 }),
  adadelta_decay: chain(tune.addDecayedWeights(0.01), tune.adadelta({ lr: 1, decay: d, eps: 1e-4 })),
  adafactor: tune.adafactor({ lr: 0.05, smallest }),
  adafactor_whole: tune.adafactor({ lr: 0.05 }),
  adafactor_decay: tune.adafactor({ lr: 0.05, decay: 0.7, clip: 0.5, weightDecay: 0.01, smallest }),
  factored_rms: chain(tune.scaleByFactoredRms({ smallest }), scale(-0.01)),
  adam: tune.adam({ lr: 0.05, b1, b2 }),
  adamax: tune.adamax({ lr: 0.02, b1, b2 }),
  nadam: tune.nadam({ lr: 0.02, b1, b2 }),
  nadamw: tune.nadamw({ lr: 0.02, b1, b2, weightDecay: 0.01 }),
  radam: tune.radam({ lr: 0.02, b1, b2 }),
  radam_late: tune.radam({ lr: 0.02, b1, b2, threshold: 10 }),
  radam_nesterov: chain(tune.scaleByRadam({ b1, b2: 0.75, nesterov: true }), scale(-0.02)),
  lamb: tune.lamb({ lr: 0.02, b1, b2, weightDecay: 0.01 }),
  lars: tune.lars({ lr: 2, weightDecay: 0.01, momentum: 0.5, nesterov: true }),
  trust_ratio: chain(tune.scaleByTrustRatio({ coefficient: 0.01, eps: 0.1 }), scale(-1)),
  muon: tune.muon({ lr: 0.02, beta: d, b1, b2 }),
  sign_sgd: tune.signSgd({ lr: 0.01 }),
  ema: chain(tune.ema({ decay: d }), sgd({ lr: 0.05 })),
  ema_biased: chain(tune.ema({ decay: d, debias: false }), sgd({ lr: 0.05 })),
  centralize: chain(tune.centralize, sgd({ lr: 0.05 })),
  clip_rms: chain(tune.clipByRms(0.3), sgd({ lr: 0.1 })),
  parameter_rms: chain(tune.scaleByParameterRms(0.5), sgd({ lr: 0.05 })),
  lookahead: tune.lookahead(tune.adam({ lr: 0.05, b1, b2 }), { every: 5, rate: 0.25 }),
  sam: tune.sam(sgd({ lr: 0.1 }), { radius: 0.05 }),
  sam_adam: tune.sam(tune.adamw({ lr: 0.05, b1, b2, weightDecay: 0.1 }), { radius: 0.1 }),
  partition: tune.multiTransform(
    { slow: sgd({ lr: 0.01 }), fast: tune.adam({ lr: 0.05, b1, b2 }) },
    { 'w': 'slow', '**': 'fast' },
  ),
  by_leaf: chain(sgd({ lr: 0.1 }), tune.scaleByLeaf({ w: 0.5, b: 0 })),
  apply_if_finite: tune.applyIfFinite(tune.adam({ lr: 0.05, b1, b2 }), { most: 5 }),
  zero_nans: chain(tune.zeroNaNs, sgd({ lr: 0.1, momentum: 0.5 })),
  default_rmsprop: tune.rmsprop({ lr: 0.002 }),
  default_adadelta: tune.adadelta({ lr: 0.1 }),
  default_nadam: tune.nadam({ lr: 0.002 }),
  default_nadamw: tune.nadamw({ lr: 0.002 }),
  default_radam: tune.radam({ lr: 0.002 }),
  default_adamax: tune.adamax({ lr: 0.002 }),
  default_lamb: tune.lamb({ lr: 0.002 }),
  default_lars: tune.lars({ lr: 0.2 }),
  default_muon: tune.muon({ lr: 0.002 }),
}
const averaged = tune.averageWeights(sgd({ lr: 0.1 }), { decay: d })
/** Those whose gradient is NaN at some steps. */
const withFailures = ['apply_if_finite', 'zero_nans']

const params = { w: f32(3, 4), b: f32(3), s: f32() }
const H = f32(16, 16)
const factor = f32()
const whole = ({ w, b, s }: typeof params) => concat([reshape(w, [12]), b, reshape(s, [1])], 0, 16)
/** The gradient of xᵀHx / 2, of the tree's numbers in their order, times a factor. */
const gradient = (at: typeof params): typeof params => {
  const g = mul(reshape(matmul(reshape(whole(at), [1, 16]), H), [16]), factor)
  return {
    w: reshape(slice(g, 0, { as: 12, start: [] }), [3, 4]),
    b: slice(g, 0, { as: 3, start: [12] }),
    s: reshape(slice(g, 0, { as: 1, start: [15] }), []),
  }
}
const numbers = (sizes: readonly number[], data: readonly number[]): Numbers => ({
  sizes,
  data: Float64Array.from(data),
})
const start = [
  numbers([3, 4], golden.start.slice(0, 12)),
  numbers([3], golden.start.slice(12, 15)),
  numbers([], golden.start.slice(15)),
]
const matrix = numbers([16, 16], golden.H.flat())
const runOf = (transform: Transform<Fn>, failing: readonly number[] = []) =>
  history(transform, params, gradient, start, 30, step => {
    const broken = failing.includes(step) ? NaN : 1
    return new Map<Node, Numbers>([
      [H, matrix],
      [factor, numbers([], [broken])],
    ])
  })
const flat = (leaves: readonly Numbers[]): readonly number[] => leaves.flatMap(({ data }) => [...data])

/** The largest difference of two series of rows. */
const apart = (found: readonly (readonly number[])[], expected: readonly (readonly number[])[]): number =>
  found.length === expected.length
    ? Math.max(...found.flatMap((row, i) => row.map((x, k) => Math.abs(x - expected[i]![k]!))))
    : Infinity
const pathOf = (name: string, transform: Transform<Fn>): readonly (readonly number[])[] =>
  runOf(transform, withFailures.includes(name) ? golden.failing : []).map(({ params }) => flat(params))

for (const [name, transform] of Object.entries(transforms))
  test(`${name}: thirty updates are those of optax`, () => {
    const off = apart(pathOf(name, transform), golden.trajectories[name]!)
    assert.ok(off <= 1e-6, `${off}`)
  })

test('average_weights: the mean of the weights is that of optax, and the updates are those of the transform', () => {
  const run = runOf(averaged)
  const means = run.map(({ params, state }) => {
    const offset = flat(state.slice(0, 3))
    return flat(params).map((x, i) => x + offset[i]!)
  })
  const off = apart(means, golden.trajectories['average_weights']!)
  assert.ok(off <= 1e-6, `${off}`)
  assert.deepEqual(
    run.map(({ params }) => params),
    runOf(sgd({ lr: 0.1 })).map(({ params }) => params),
  )
})

test('every trajectory of optax is compared with one, and all of them are told apart (mutant)', () => {
  const others = ['average_weights', 'injected']
  assert.deepEqual(Object.keys(golden.trajectories).toSorted(), [...Object.keys(transforms), ...others].toSorted())
  const rows = Object.entries(golden.trajectories)
  for (const [i, [name, row]] of rows.entries())
    for (const [other, otherRow] of rows.slice(i + 1)) assert.ok(!(apart(row, otherRow) <= 1e-6), `${name} is ${other}`)
})

const scheduleSubjects: Readonly<Record<string, Schedule>> = {
  constant: of.constant(0.1),
  linear_later: of.linear({ init: 0.1, end: 0.01, steps: 20, begin: 5 }),
  polynomial_later: of.polynomial({ init: 0.1, end: 0.01, power: 3, steps: 20, begin: 5 }),
  cosine_power: of.cosine({ init: 0.1, steps: 20, alpha: 0.1, exponent: 2 }),
  exponential_later: of.exponential({ init: 0.1, steps: 5, rate: 0.8, begin: 4 }),
  exponential_stairs: of.exponential({ init: 0.1, steps: 5, rate: 0.5, begin: 3, stairs: true, end: 0.01 }),
  exponential_rising: of.exponential({ init: 0.1, steps: 5, rate: 1.5, end: 0.3 }),
  piecewise: of.piecewise({ init: 0.1, scales: { 5: 0.5, 10: 0.1 } }),
  interpolated_linear: of.interpolated({ init: 0.1, scales: { 5: 3, 20: 0.1 }, by: 'linear' }),
  interpolated_cosine: of.interpolated({ init: 0.1, scales: { 5: 3, 20: 0.1 }, by: 'cosine' }),
  one_cycle: of.oneCycle({ peak: 0.1, steps: 30 }),
  one_cycle_other: of.oneCycle({ peak: 0.1, steps: 30, rise: 0.5, divisor: 10, final: 100 }),
  one_cycle_linear: of.oneCycle({ peak: 0.1, steps: 30, by: 'linear' }),
  one_cycle_linear_other: of.oneCycle({
    peak: 0.1,
    steps: 30,
    by: 'linear',
    rise: 0.2,
    back: 0.6,
    divisor: 10,
    final: 100,
  }),
  warmup_constant: of.warmupConstant({ init: 0.01, peak: 0.1, warmup: 5 }),
  warmup_cosine: of.warmupCosine({ init: 0.01, peak: 0.1, warmup: 5, total: 30, end: 0.02, exponent: 2 }),
  warmup_exponential: of.warmupExponential({
    init: 0.01,
    peak: 0.1,
    warmup: 5,
    steps: 10,
    rate: 0.5,
    begin: 3,
    stairs: true,
    end: 0.03,
  }),
  restarts: of.restarts([
    { peak: 0.1, warmup: 2, total: 10, end: 0.01 },
    { init: 0.01, peak: 0.05, warmup: 3, total: 20 },
  ]),
  warmup_stable_decay: of.warmupStableDecay({ peak: 0.1, warmup: 5, stable: 20, decay: 10, end: 0.01 }),
  joined: of.join(
    of.linear({ init: 0.1, end: 0.2, steps: 5 }),
    5,
    of.join(of.cosine({ init: 0.2, steps: 10 }), 10, of.constant(0.03)),
  ),
}
const valuesOf = (schedule: Schedule, counts: number): readonly number[] =>
  Array.from({ length: counts }, (_, n) => interpret([schedule(scalar(n))], new Map(), size)[0]!.data[0]!)

for (const [name, schedule] of Object.entries(scheduleSubjects))
  test(`${name}: the schedule is that of optax`, () => {
    const expected = golden.schedules[name]!
    const off = apart([valuesOf(schedule, expected.length)], [expected])
    assert.ok(off <= 1e-6, `${off}`)
  })

test('every schedule of optax is compared with one', () => {
  assert.deepEqual(Object.keys(golden.schedules).toSorted(), Object.keys(scheduleSubjects).toSorted())
})

for (const [name, schedule] of Object.entries(scheduleSubjects))
  test(`${name}: a slice has the values of its part, and then stays`, () => {
    const values = valuesOf(schedule, 20)
    const part = valuesOf(of.slice(schedule, { from: 4, steps: 6 }), 10)
    assert.deepEqual(part, [...values.slice(4, 11), values[10], values[10], values[10]])
    assert.deepEqual(valuesOf(of.slice(schedule, { from: 4 }), 10), values.slice(4, 14))
  })

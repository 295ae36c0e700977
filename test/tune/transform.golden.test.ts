import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { f32, interpret, matmul, reshape, scalar, type Tensor } from '../../src/tensor/index.ts'
import {
  accumulate,
  adam,
  adamw,
  chain,
  clipByValue,
  clipByGlobalNorm,
  cosine,
  exponential,
  linear,
  lion,
  masked,
  piecewise,
  polynomial,
  sgd,
  warmupCosine,
  type Fn,
  type Schedule,
  type Transform,
} from '../../src/tune/index.ts'
import { size, trajectory } from '../support/trajectories.ts'

interface Golden {
  readonly H: readonly (readonly number[])[]
  readonly x0: readonly number[]
  readonly trajectories: Readonly<Record<string, readonly (readonly number[])[]>>
  readonly schedules: Readonly<Record<string, readonly number[]>>
}
const golden = JSON.parse(readFileSync(new URL('../golden/optax.json', import.meta.url), 'utf8')) as Golden

/** Our name for each optimizer that optax ran, in float32, on f(x) = xᵀHx / 2. */
const transforms: Readonly<Record<string, Transform<Fn>>> = {
  sgd: sgd({ lr: 0.05 }),
  sgd_momentum: sgd({ lr: 0.05, momentum: 0.9 }),
  sgd_nesterov: sgd({ lr: 0.05, momentum: 0.9, nesterov: true }),
  adam: adam({ lr: 0.05 }),
  adamw: adamw({ lr: 0.05, weightDecay: 0.01 }),
  lion: lion({ lr: 0.02, weightDecay: 0.01 }),
  clip_adamw: chain(clipByGlobalNorm(0.5), adamw({ lr: 0.05 })),
  clip_value_sgd: chain(clipByValue(0.2), sgd({ lr: 0.1 })),
  warmup_cosine_adamw: adamw({ lr: warmupCosine({ peak: 0.05, warmup: 5, total: 30 }) }),
  linear_sgd: sgd({ lr: linear({ init: 0.1, end: 0, steps: 20 }) }),
  multisteps_sgd: accumulate(sgd({ lr: 0.1 }), 3),
  noop_masked: masked(sgd({ lr: 0.05 }), { by: 'tree', tree: false }),
}

const schedules: Readonly<Record<string, Schedule>> = {
  warmup_cosine: warmupCosine({ peak: 0.05, warmup: 5, total: 30, end: 1e-3 }),
  linear: linear({ init: 0.1, end: 0, steps: 20 }),
  exponential: exponential({ init: 0.1, steps: 5, rate: 0.8 }),
  piecewise: piecewise({ init: 0.1, scales: { 5: 0.5, 10: 0.1 } }),
  polynomial: polynomial({ init: 0.1, end: 0.01, power: 2, steps: 20 }),
  cosine: cosine({ init: 0.1, steps: 20, alpha: 0.1 }),
}

/**
 * Optax's numbers are float32: their own rounding is below 1e-6 of the largest in a row, and below 1e-6 if a row is
 * near 0.
 */
const close = (actual: readonly number[], expected: readonly number[], what: string): void => {
  const scale = Math.max(1, ...expected.map(Math.abs))
  const worst = Math.max(...expected.map((e, i) => Math.abs(e - actual[i]!))) / scale
  assert.ok(actual.length === expected.length && worst <= 1e-6, `${what}: ${worst}`)
}

const H = f32(6, 6)
const multiplied = (x: Tensor<readonly [6]>): Tensor<readonly [6]> => reshape(matmul(reshape(x, [1, 6]), H), [6])

// H is data that the transform does not see
const data = new Map([[H, { sizes: [6, 6], data: Float64Array.from(golden.H.flat()) }]])
const follows = (transform: Transform<Fn>, name: string): void => {
  const path = trajectory(transform, f32(6), multiplied, [{ sizes: [6], data: Float64Array.from(golden.x0) }], 30, data)
  golden.trajectories[name]!.forEach((expected, step) => {
    close([...path[step]![0]!.data], expected, `${name}, step ${step}`)
  })
}

for (const [name, transform] of Object.entries(transforms))
  test(`${name} follows optax for thirty steps`, () => {
    follows(transform, name)
  })

for (const [name, schedule] of Object.entries(schedules)) {
  test(`the ${name} schedule is that of optax`, () => {
    const expected = golden.schedules[name]!
    close(
      expected.map((_, count) => interpret([schedule(scalar(count))], new Map(), size)[0]!.data[0]!),
      expected,
      name,
    )
  })
}

test('a trajectory that differs is told from the golden one', () => {
  assert.throws(() => {
    follows(adam({ lr: 0.05, b2: 0.99 }), 'adam')
  })
  assert.throws(() => {
    follows(adamw({ lr: 0.05, weightDecay: 0 }), 'adamw')
  })
  for (const other of [{ b1: 0.95 }, { b2: 0.9 }, { weightDecay: 0 }])
    assert.throws(() => {
      follows(lion({ lr: 0.02, weightDecay: 0.01, ...other }), 'lion')
    })
  assert.throws(() => {
    follows(sgd({ lr: 0.05, momentum: 0.9 }), 'sgd_nesterov')
  })
  assert.throws(() => {
    follows(accumulate(sgd({ lr: 0.1 }), 2), 'multisteps_sgd')
  })
})

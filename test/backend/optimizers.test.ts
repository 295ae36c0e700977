import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  accumulate,
  adam,
  adamw,
  adapt,
  chain,
  clipByGlobalNorm,
  compile,
  full,
  lion,
  masked,
  matmul,
  sgd,
  trainStep,
  type Fn,
  type TargetName,
  type Transform,
} from '../../src/index.ts'
import { setToZero } from '../../src/compiler.ts'
import { add, f32 } from '../../src/tensor/index.ts'
import { nodeTest } from '../support/native-library.ts'
import { nativeTargets, plainTargets, smallModel, untyped, valuesFor } from '../support/small-models.ts'

const transforms: Readonly<Record<string, Transform<Fn>>> = {
  sgd: sgd({ lr: 0.1 }),
  momentum: sgd({ lr: 0.1, momentum: 0.9 }),
  nesterov: sgd({ lr: 0.1, momentum: 0.9, nesterov: true }),
  adam: adam({ lr: 0.1 }),
  adamw: chain(clipByGlobalNorm(1), adamw({ lr: 0.1, weightDecay: 0.1 })),
  lion: chain(clipByGlobalNorm(1), lion({ lr: 0.02, weightDecay: 0.1 })),
  accumulate: accumulate(sgd({ lr: 0.1, momentum: 0.9 }), 2),
  masked: chain(masked(setToZero, { by: 'path', where: path => path === 'v' }), sgd({ lr: 0.1, momentum: 0.9 })),
}
const dims = { hidden: 4, batch: 3 }
const of = smallModel({
  params: { v: f32('hidden', 'hidden'), w: f32('hidden', 'hidden') },
  forward: ({ v, w }, { x }) => untyped(add)(untyped(matmul)(untyped(matmul)(x, v), w), x),
})
const batches = [1, 2].map(seed => valuesFor(of.batch, dims, seed))

/** The losses of five steps of two micro-batches each. */
const losses = async (transform: Transform<Fn>, target: TargetName): Promise<readonly number[]> => {
  const step = trainStep(adapt(of, full({ targets: ['all'] })), transform)
  await using session = await compile(step, { target, threads: 1, dims, weights: valuesFor(of.params, dims) })
  const found: number[] = []
  for (let k = 0; k < 5; k++) found.push((await session.step(batches)).loss)
  await session.read()
  return found
}
const apart = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))

for (const [name, transform] of Object.entries(transforms)) {
  const agrees = async (target: TargetName): Promise<void> => {
    const off = apart(await losses(transform, target), await losses(transform, 'reference'))
    assert.ok(off < 1e-4, `${off}`)
  }
  for (const target of plainTargets.filter(other => other !== 'reference'))
    test(`${name}: five steps on ${target} are those of reference`, () => agrees(target))
  for (const target of nativeTargets)
    nodeTest(`${name}: five steps on ${target} are those of reference`, () => agrees(target))
}

test('runs of different optimizers are told apart (mutant)', async () => {
  const [a, b] = [await losses(transforms['momentum']!, 'wasm'), await losses(transforms['nesterov']!, 'reference')]
  assert.ok(apart(a, b) > 1e-3)
})

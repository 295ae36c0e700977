import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  accumulate,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  adapt,
  applyIfFinite,
  averageWeights,
  chain,
  clipByGlobalNorm,
  compile,
  full,
  inject,
  lamb,
  lars,
  lion,
  lookahead,
  masked,
  matmul,
  multiTransform,
  muon,
  nadamw,
  radam,
  rmsprop,
  sam,
  sgd,
  signSgd,
  trainStep,
  type Fn,
  type TargetName,
  type Transform,
} from '../../src/index.ts'
import { addNoise, centralize, ema, setToZero, zeroNaNs } from '../../src/compiler.ts'
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
  rmsprop: rmsprop({ lr: 0.02 }),
  adagrad: adagrad({ lr: 0.1 }),
  adadelta: adadelta({ lr: 1 }),
  adafactor: adafactor({ lr: 0.02, smallest: 4 }),
  nadamw: nadamw({ lr: 0.1, weightDecay: 0.1 }),
  radam: radam({ lr: 0.1 }),
  adamax: adamax({ lr: 0.1 }),
  lamb: lamb({ lr: 0.1 }),
  lars: lars({ lr: 1 }),
  muon: muon({ lr: 0.05 }),
  wrapped: averageWeights(
    lookahead(applyIfFinite(sam(sgd({ lr: 0.1 }), { radius: 0.1 }), { most: 2 }), { every: 2, rate: 0.5 }),
    { decay: 0.9 },
  ),
  parts: chain(zeroNaNs, centralize, addNoise({ eta: 0.01, seed: 1 }), ema({ decay: 0.5 }), signSgd({ lr: 0.01 })),
  partition: multiTransform({ a: sgd({ lr: 0.1 }), b: adam({ lr: 0.1 }) }, { 'v': 'a', '**': 'b' }),
  inject: inject(adamw, { lr: 0.1, weightDecay: 0.1, b1: 0.8, b2: 0.9, eps: 1e-3 }),
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

test('settings change during a run, from the next step on; others are refused', async () => {
  const step = trainStep(adapt(of, full({ targets: ['all'] })), inject(sgd, { lr: 0.1, momentum: 0.5 }))
  const plain = (lr: number) => trainStep(adapt(of, full({ targets: ['all'] })), sgd({ lr, momentum: 0.5 }))
  for (const target of plainTargets) {
    const options = { target, threads: 1, dims, weights: valuesFor(of.params, dims) }
    await using run = await compile(step, options)
    await using other = await compile(plain(0.1), options)
    assert.equal((await run.step(batches)).loss, (await other.step(batches)).loss)
    await run.set({ lr: 0.05 })
    await using slower = await compile(plain(0.05), options)
    const { focus, state } = await other.read()
    await slower.write({ focus, state })
    await run.step(batches)
    await slower.step(batches)
    const [a, b] = [(await run.step(batches)).loss, (await slower.step(batches)).loss]
    assert.ok(Math.abs(a - b) < 1e-5, `${target}: ${a} ${b}`)
    await assert.rejects(
      run.set({ lr: -1 }),
      /^SessionError: the learning rate lr is -1: it is a finite number, at least 0$/,
    )
    await assert.rejects(
      // @ts-expect-error the chain has no such setting
      run.set({ weightDecay: 0.1 }),
      /^SessionError: no transform has a setting weightDecay that may change: there are lr, momentum$/,
    )
    await assert.rejects(
      // @ts-expect-error no setting of the chain may change
      other.set({ lr: 0.1 }),
      /^SessionError: no transform has a setting lr that may change: inject\(adamw, \{ lr: 1e-4 \}\) has one$/,
    )
  }
})

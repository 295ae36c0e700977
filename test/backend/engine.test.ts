import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  f32,
  matmul,
  model,
  paca,
  scalar,
  SessionError,
  sgd,
  square,
  sum,
  trainStep,
  type Value,
} from '../../src/index.ts'
import { deviceEngine, openSession, referenceDevice, type Engine, type Loading } from '../../src/compiler.ts'
import { refusal } from '../../src/backend/engine.ts'

const chain = model({
  params: { first: f32('in', 'hidden'), second: f32('hidden', 'out') },
  batch: { x: f32('batch', 'in') },
  forward: ({ first, second }, { x }) => matmul(matmul(x, first), second),
  loss: logits => ({ sum: sum(square(logits)), count: scalar(1) }),
})
const step = trainStep(adapt(chain, paca({ targets: ['second', 'first'], rank: 1, seed: 0 })), sgd({ lr: 0.1 }))
const matrix = <const S extends readonly string[]>(shape: S): Value<S> => ({
  shape,
  sizes: [2, 2],
  dtype: 'f32',
  data: Float32Array.of(1, 2, 3, 4),
})
const weights = { first: matrix(['in', 'hidden']), second: matrix(['hidden', 'out']) } as const
const batch = { x: matrix(['batch', 'in']) }

/** A session on a working engine with parts of it replaced; the calls of the engine are recorded. */
const opened = (
  replaced: { readonly start?: Loading['start']; readonly step?: Engine['step'] } = {},
  given: typeof weights = weights,
) => {
  const calls: string[] = []
  const session = openSession(
    step,
    async (...of) => {
      const loading = await deviceEngine(referenceDevice())(...of)
      const { params } = loading.programs
      const names = new Map([
        ...params.map(([path, leaf]) => [leaf, path] as const),
        ...step.tuned.selections.map(({ path, index }) => [index, `columns of ${path}`] as const),
      ])
      return {
        ...loading,
        assign: (leaf, value) => {
          calls.push(names.get(leaf)!)
          return loading.assign(leaf, value)
        },
        start: async own => {
          const engine = await (replaced.start ?? loading.start)(own)
          return {
            ...engine,
            ...(replaced.step ? { step: replaced.step } : {}),
            dispose: () => {
              calls.push('engine disposed')
              return engine.dispose()
            },
          }
        },
        dispose: () => {
          calls.push('loading disposed')
          return loading.dispose()
        },
      }
    },
    { weights: given },
  )
  return { session, calls }
}

test('an engine gets every leaf once, in the order of the tree, and chosen columns just before their leaf', async () => {
  const { session, calls } = opened()
  await session
  assert.deepEqual(calls, ['columns of first', 'first', 'columns of second', 'second'])
})

for (const [what, replaced, given] of [
  // values that a program without types may pass
  ['weights that lack a leaf', {}, { first: weights.first } as typeof weights],
  ['an engine that does not start', { start: () => Promise.reject(new SessionError('no')) }, weights],
] as const) {
  test(`with ${what} no session opens, and the engine is disposed of once`, async () => {
    const { session, calls } = opened(replaced, given)
    await assert.rejects(session, SessionError)
    assert.deepEqual(
      calls.filter(call => call.endsWith('disposed')),
      ['loading disposed'],
    )
  })
}

test('a session ends its engine once, and refuses everything afterwards', async () => {
  const { session: opening, calls } = opened()
  const session = await opening
  const saved = await session.read()
  for (let i = 0; i < 2; i++) await session[Symbol.asyncDispose]()
  assert.deepEqual(
    calls.filter(call => call.endsWith('disposed')),
    ['engine disposed'],
  )
  for (const use of [
    () => session.step([batch]),
    () => session.evaluate(batch),
    () => session.gradients(batch),
    () => session.predict(batch),
    () => session.read(),
    () => session.write(saved),
  ])
    await assert.rejects(use, /^SessionError: the session is disposed$/)
})

test('what an engine reports of a step decides whether it was one; means are of the scored tokens', async () => {
  const reporting = async (loss: number, tokens: number, gradNorm: number) => {
    await using session = await opened({ step: () => Promise.resolve({ loss, tokens, gradNorm, buffers: new Map() }) })
      .session
    return await session.step([batch])
  }
  assert.deepEqual(await reporting(6, 3, 2), { loss: 2, tokens: 3, gradNorm: 2 })
  await assert.rejects(reporting(6, 0, 2), /^SessionError: the step has no scored token$/)
  await assert.rejects(reporting(Number.NaN, 3, 2), /^SessionError: the loss is NaN: nothing was updated$/)
  await assert.rejects(
    reporting(6, 3, Infinity),
    /^SessionError: the norm of the gradient is Infinity: nothing was updated$/,
  )
})

test('an engine on a device updates nothing where there is something against the result', async () => {
  await using session = await opened().session
  const before = await session.read()
  const wrong = { x: { ...batch.x, data: Float32Array.of(1, Infinity, 1, 1) } }
  await assert.rejects(session.step([batch, wrong]), /: nothing was updated$/)
  assert.deepEqual(await session.read(), before)
  assert.notEqual(refusal({ loss: 1, tokens: 1, gradNorm: Number.NaN }), undefined)
})

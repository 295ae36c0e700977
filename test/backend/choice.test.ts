import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  adapt,
  chooseTarget,
  compile,
  f32,
  full,
  identity,
  model,
  precisions,
  scalar,
  SessionError,
  sum,
  targetNames,
  trainStep,
  type Choice,
  type Precision,
  type TargetName,
} from '../../src/index.ts'

const loadSavedModel = () => Promise.reject(new Error('a choice loads nothing'))
const cpu = { from: '/cache/native/tensorflow-cpu-2.18.1', gpu: false, loadSavedModel }
const gpu = { ...cpu, from: '@tensorflow/tfjs-node-gpu', gpu: true }
const none = 'there is no TensorFlow: run `partensor native install`'
const broken = `${none} (/cache/native/tensorflow-cpu-2.18.1: its file tfjs_binding.node is not whole)`

const choices: readonly (readonly [what: string, status: Parameters<typeof chooseTarget>[0], choice: Choice])[] = [
  [
    'a GPU',
    { used: gpu, problem: undefined },
    { target: 'graph', reason: 'TensorFlow from @tensorflow/tfjs-node-gpu, which has a GPU' },
  ],
  [
    'TensorFlow on the CPU',
    { used: cpu, problem: undefined },
    { target: 'graph', reason: 'TensorFlow from /cache/native/tensorflow-cpu-2.18.1' },
  ],
  [
    'a backend that cannot load graphs',
    { used: { from: 'the backend of the program', gpu: false, loadSavedModel: undefined }, problem: undefined },
    { target: 'wasm', reason: 'the backend of the program loads no graphs' },
  ],
  ['no TensorFlow', { used: undefined, problem: none }, { target: 'wasm', reason: none }],
  ['a build that is broken', { used: undefined, problem: broken }, { target: 'wasm', reason: broken }],
]
for (const [what, status, choice] of choices) {
  test(`auto with ${what} takes ${choice.target}, and says why; 16 bits are refused only without TensorFlow`, () => {
    assert.deepEqual(chooseTarget(status, 'f32'), E.right(choice))
    for (const precision of ['bf16', 'f16'] as const) {
      assert.deepEqual(
        chooseTarget(status, precision),
        choice.target === 'graph' ? E.right(choice) : E.left(`${precision} needs the graph target: ${choice.reason}`),
      )
    }
  })
}

/** A step that would run anywhere, so that nothing but the options can be refused. */
const mean = model({
  params: { weight: f32('in') },
  batch: { x: f32('in') },
  logits: ({ weight }) => weight,
  loss: weight => ({ sum: sum(weight), count: scalar(1) }),
})
const open = (options: { readonly target?: TargetName; readonly precision?: Precision }) =>
  compile(trainStep(adapt(mean, full({ targets: ['weight'] })), identity), {
    ...options,
    weights: { weight: { shape: ['in'], sizes: [1], dtype: 'f32', data: Float32Array.of(1) } },
  })
const refusedWith =
  (sentence: string) =>
  (error: unknown): boolean =>
    error instanceof SessionError && error.message === sentence

for (const target of targetNames.filter(name => name !== 'auto' && name !== 'graph')) {
  test(`${target} refuses 16 bits before it starts anything`, async () => {
    for (const precision of precisions.filter(name => name !== 'f32')) {
      await assert.rejects(
        open({ target, precision }),
        refusedWith(`the ${target} target computes in float32: ${precision} needs --target graph`),
      )
    }
  })
}

test('targets and precisions that there are not are refused with those there are', async () => {
  // what a program without types may pass
  await assert.rejects(
    open({ target: 'gpu' as TargetName, precision: 'bf16' }),
    refusedWith(`there is no target gpu: there are ${targetNames.join(', ')}`),
  )
  await assert.rejects(
    open({ target: 'wasm', precision: 'f64' as Precision }),
    refusedWith('there is no precision f64: there are f32, bf16, f16'),
  )
})

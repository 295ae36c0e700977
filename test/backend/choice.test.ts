import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { autoInWords, chooseTarget, type Choice } from '../../src/backend/choice.ts'
import { graphAvailable } from '../../src/backend/graph/target.ts'
import { precisions, type Precision } from '../../src/backend/precision.ts'
import type { Target } from '../../src/backend/target.ts'
import { registeredTargets, targetNames, type TargetName } from '../../src/backend/targets.ts'
import { adapt, compile, f32, full, model, scalar, SessionError, sum, trainStep } from '../../src/index.ts'
import { identity } from '../../src/tune/index.ts'

const loadSavedModel = () => Promise.reject(new Error('a choice loads nothing'))
const cpu = { from: '/cache/native/tensorflow-cpu-2.18.1', gpu: false, loadSavedModel }
const gpu = { ...cpu, from: '@tensorflow/tfjs-node-gpu', gpu: true }
const none = 'there is no TensorFlow: run `partensor native install`'
const broken = `${none} (/cache/native/tensorflow-cpu-2.18.1: its file tfjs_binding.node is not whole)`

/** The registered targets on a machine with this TensorFlow, or without one. */
const onMachine = (native: Parameters<typeof graphAvailable>[0]): readonly Target[] =>
  registeredTargets.map(target =>
    target.name === 'graph' ? { ...target, available: () => Promise.resolve(graphAvailable(native)) } : target,
  )
const chosenOf = async (targets: readonly Target[], precision: Precision) =>
  E.map(({ target, reason }: Choice<Target>) => [target.name, reason] as const)(await chooseTarget(targets, precision))

const choices: readonly (readonly [
  what: string,
  native: Parameters<typeof graphAvailable>[0],
  target: string,
  reason: string,
])[] = [
  ['a GPU', E.right(gpu), 'graph', 'TensorFlow from @tensorflow/tfjs-node-gpu, which has a GPU'],
  ['TensorFlow on the CPU', E.right(cpu), 'graph', 'TensorFlow from /cache/native/tensorflow-cpu-2.18.1'],
  [
    'a backend that cannot load graphs',
    E.right({ from: 'the backend of the program', gpu: false, loadSavedModel: undefined }),
    'wasm',
    'the backend of the program loads no graphs',
  ],
  ['no TensorFlow', E.left(none), 'wasm', none],
  ['a build that is broken', E.left(broken), 'wasm', broken],
]
for (const [what, native, target, reason] of choices) {
  test(`auto with ${what} takes ${target}, and says why; 16 bits are refused only without TensorFlow`, async () => {
    const targets = onMachine(native)
    assert.deepEqual(await chosenOf(targets, 'f32'), E.right([target, reason]))
    for (const precision of ['bf16', 'f16'] as const) {
      assert.deepEqual(
        await chosenOf(targets, precision),
        target === 'graph' ? E.right([target, reason]) : E.left(`${precision} needs the graph target: ${reason}`),
      )
    }
  })
}

/** A target of three facts, and the names of the targets that were tested. */
const told = (asked: string[], name: string, available: E.Either<string, string>, priority?: number) => ({
  name,
  precisions: ['f32'] as const,
  ...(priority === undefined ? {} : { priority }),
  available: () => {
    asked.push(name)
    return Promise.resolve(available)
  },
})
test('auto asks the targets in the order of their priority, no more of them than it must, and none without one', async () => {
  const asked: string[] = []
  const targets = [
    told(asked, 'low', E.right('low runs'), 1),
    told(asked, 'best', E.left('best is missing'), 9),
    told(asked, 'alone', E.right('alone runs')),
    told(asked, 'good', E.right('good runs'), 5),
  ]
  const choice = await chooseTarget(targets, 'f32')
  assert.deepEqual([E.isRight(choice) && choice.right.target.name, asked], ['good', ['best', 'good']])
  assert.deepEqual(E.isRight(choice) && choice.right.reason, 'best is missing')
  assert.deepEqual(await chooseTarget(targets.slice(1, 3), 'f32'), E.left('f32 needs the best target: best is missing'))
})

test('the choice of auto in words is the order in which it asks', () => {
  assert.equal(
    autoInWords(registeredTargets),
    'graph where there is TensorFlow (`partensor native install`), else wasm',
  )
  assert.equal(
    autoInWords([{ name: 'last', priority: 1 }, { name: 'never' }, { name: 'first', priority: 2 }]),
    'first, else last',
  )
})

test('a target is its value and its line: its name is taken, listed and explained, with no other edit', () => {
  assert.deepEqual(targetNames, ['auto', ...registeredTargets.map(({ name }) => name)])
  assert.equal(new Set(targetNames).size, targetNames.length)
  for (const { name, precisions: own } of registeredTargets) {
    assert.ok(own.includes('f32'), `${name} computes in float32`)
    assert.ok(own.every(precision => precisions.includes(precision)))
  }
})

const backend = fileURLToPath(new URL('../../src/backend/', import.meta.url))
/** Names of targets that stand in a source as texts. */
const namesIn = (source: string): readonly string[] =>
  targetNames.filter(name => new RegExp(`(['"\`])${name}\\1`).test(source.replace(/\/\*[^]*?\*\//g, '')))
test('what compiles, chooses, opens and certifies knows no name of a target', () => {
  for (const file of [
    'choice',
    'open',
    'certificate',
    'session',
    'engine',
    'device-engine',
    'runner',
    'target',
    'values',
  ])
    assert.deepEqual(namesIn(readFileSync(`${backend}${file}.ts`, 'utf8')), [], file)
  // the defaults of two options
  assert.deepEqual(namesIn(readFileSync(`${backend}compile.ts`, 'utf8')), ['auto'])
  assert.deepEqual(namesIn(readFileSync(`${backend}explain.ts`, 'utf8')), ['wasm'])
})
test('a name of a target that stands in a source is noticed, one in a comment is not', () => {
  assert.deepEqual(namesIn("switch (target) { case 'graph': return one() }"), ['graph'])
  assert.deepEqual(namesIn("/** @example compile(step, { target: 'graph' }) */"), [])
})

/** A step that would run anywhere, so that nothing but the options can be refused. */
const mean = model({
  params: { weight: f32('in') },
  batch: { x: f32('in') },
  forward: ({ weight }) => weight,
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

for (const { name: target } of registeredTargets.filter(({ precisions: own }) => own.join() === 'f32')) {
  test(`${target} refuses 16 bits before it starts anything`, async () => {
    for (const precision of precisions.filter(name => name !== 'f32')) {
      await assert.rejects(
        open({ target, precision }),
        refusedWith(`the ${target} target computes in float32: ${precision} needs --target graph`),
      )
    }
  })
}

test('auto refuses a precision that there is not', async () => {
  // values that a program without types may pass
  await assert.rejects(
    open({ precision: 'f64' as Precision }),
    refusedWith('there is no precision f64: there are f32, bf16, f16'),
  )
})

test('targets and precisions that there are not are refused with those there are', async () => {
  // values that a program without types may pass
  await assert.rejects(
    open({ target: 'gpu' as TargetName, precision: 'bf16' }),
    refusedWith(`there is no target gpu: there are ${targetNames.join(', ')}`),
  )
  await assert.rejects(
    open({ target: 'wasm', precision: 'f64' as Precision }),
    refusedWith('there is no precision f64: there are f32, bf16, f16'),
  )
})

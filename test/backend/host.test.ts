import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { noNode } from '../support/native-library.ts'

/** Runs a program that uses tfjs itself, in a process of its own, and gives the lines that it prints. */
const program = (body: string): readonly string[] => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      `
    import * as tf from '@tensorflow/tfjs-core'
    import { adapt, compile, f32, full, matmul, model, scalar, sgd, square, sum, trainStep } from './src/index.ts'
    const line = model({
      params: { w: f32('n', 1) }, batch: { x: f32('batch', 'n') },
      forward: (p, b) => matmul(b.x, p.w), loss: logits => ({ sum: sum(square(logits)), count: scalar(1) }),
    })
    const step = trainStep(adapt(line, full({ targets: ['w'] })), sgd({ lr: 0.1 }))
    const value = (shape, sizes, ...data) => ({ shape, sizes, dtype: 'f32', data: Float32Array.from(data) })
    const weights = { w: value(['n', 1], [2, 1], 1, 2) }, x = value(['batch', 'n'], [1, 2], 1, 1)
    const open = target => compile(step, { target, threads: 1, weights })
    const state = () => [tf.getBackend() ?? 'none', tf.engine().state.numTensors].join(' ')
    const say = (...of) => console.log(of.join(' '))
    ${body}`,
    ],
    { encoding: 'utf8', timeout: 120_000, env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' } },
  )
  assert.equal(status, 0, stderr.slice(0, 3000))
  return stdout.trim().split('\n')
}

const targets = ['wasm', 'cpu', ...(noNode === undefined ? ['node', 'graph'] : [])]
for (const target of targets) {
  test(`a program that uses tfjs on cpu has its backend and its tensors before, during and after a session on ${target}`, () => {
    const lines = program(`
      await import('@tensorflow/tfjs-backend-cpu')
      await tf.setBackend('cpu')
      const theirs = tf.tensor([1, 2, 3]), backend = tf.backend()
      say('before', tf.getBackend())
      const opening = open('${target}')
      say('opening', tf.getBackend())
      const run = await opening
      say('open', tf.getBackend(), tf.backend() === backend)
      const stepping = run.step([{ x }])
      say('stepping', tf.getBackend(), tf.tidy(() => tf.sum(theirs).dataSync())[0])
      say('loss', (await stepping).loss)
      // a scope of the program's takes nothing of the session's
      let inside
      tf.tidy(() => { inside = run.step([{ x }]) })
      say('inside', (await inside).loss.toFixed(4))
      const { focus } = await run.read()
      say('w', [...focus.w.data].map(v => v.toFixed(4)).join())
      await run[Symbol.asyncDispose]()
      say('after', tf.getBackend(), tf.backend() === backend, [...theirs.dataSync()].join())
      theirs.dispose()
      say('left', tf.memory().numTensors, tf.memory().numBytes)`)
    // f = (w₁ + w₂)², so w ← w − 0.2 (w₁ + w₂), twice: 3 → 1.8 → 1.08
    assert.deepEqual(lines, [
      'before cpu',
      'opening cpu',
      'open cpu true',
      'stepping cpu 6',
      'loss 9',
      'inside 3.2400',
      'w 0.0400,1.0400',
      'after cpu true 1,2,3',
      'left 0 0',
    ])
  })

  test(`a program that has chosen no backend has none after a session on ${target}, and then gets its own best`, () => {
    const lines = program(`
      const run = await open('${target}')
      await run.step([{ x }])
      say(state())
      await run[Symbol.asyncDispose]()
      say(state())
      await import('@tensorflow/tfjs-backend-cpu')
      const [four] = tf.tidy(() => tf.square(tf.scalar(2)).dataSync())
      say(four, tf.getBackend())`)
    assert.equal(lines.at(-1), '4 cpu')
    assert.match(lines[0]!, /^none \d+$/)
    assert.equal(lines[1], 'none 0')
  })

  test(`a program that has chosen no backend and asks tfjs for its memory leaves a session on ${target} as it is`, () => {
    const lines = program(`
      ${target === 'cpu' ? "await import('@tensorflow/tfjs-backend-cpu')" : ''}
      const run = await open('${target}')
      say((await run.step([{ x }])).loss)
      say(tf.memory().numTensors >= 0)
      say((await run.step([{ x }])).loss.toFixed(4))
      await run[Symbol.asyncDispose]()
      process.exit(0)`)
    assert.deepEqual(lines, ['9', 'true', '3.2400'])
  })
}

test("a program that uses tfjs's wasm backend has it again after a session, and keeps what it made on the session's", () => {
  const lines = program(`
    await import('@tensorflow/tfjs-backend-wasm')
    await tf.setBackend('wasm')
    tf.tidy(() => tf.square(tf.scalar(2)).dataSync())
    const first = await open('wasm')
    await first.step([{ x }])
    say(tf.tidy(() => tf.square(tf.scalar(3)).dataSync())[0])
    await first[Symbol.asyncDispose]()
    say(tf.getBackend(), tf.tidy(() => tf.square(tf.scalar(4)).dataSync())[0])
    const second = await open('wasm'), theirs = tf.tensor([5, 6])
    await second.step([{ x }])
    await second[Symbol.asyncDispose]()
    say(tf.getBackend(), [...tf.tidy(() => tf.square(theirs).dataSync())].join())
    await open('wasm').catch(error => say(error.name, error.message))
    theirs.dispose()
    const third = await open('wasm')
    say((await third.step([{ x }])).loss)
    await third[Symbol.asyncDispose]()
    say(tf.memory().numTensors)
    // tfjs's own threads would keep the process
    process.exit(0)`)
  assert.deepEqual(lines, [
    '9',
    'wasm 16',
    'wasm 25,36',
    'SessionError TensorFlow.js already has a wasm backend with live tensors; dispose of them first',
    '9',
    '0',
  ])
})

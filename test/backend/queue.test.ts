import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  compile,
  crossEntropy,
  f32,
  full,
  i32,
  matmul,
  model,
  relu,
  scalar,
  SessionError,
  sgd,
  size,
  square,
  sum,
  trainStep,
  uniform,
  type Session,
  type TargetName,
} from '../../src/index.ts'
import { deviceEngine, openSession, referenceDevice } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'
import { openTiny, tinyBatch, tinyStep } from '../support/tiny-llama.ts'

const mlp = model({
  params: { up: f32('pixels', 'hidden'), down: f32('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  forward: (p, b) => matmul(relu(matmul(b.x, p.up)), p.down),
  loss: (logits, b) => ({ sum: sum(crossEntropy(logits, b.y)), count: size('batch') }),
})
const weights = {
  up: { shape: ['pixels', 'hidden'], sizes: [6, 8], dtype: 'f32', data: uniform(0, 1, 48) },
  down: { shape: ['hidden', 'classes'], sizes: [8, 3], dtype: 'f32', data: uniform(0, 2, 24) },
} as const
const batchOf = (seed: number) =>
  ({
    x: { shape: ['batch', 'pixels'], sizes: [4, 6], dtype: 'f32', data: uniform(seed, 3, 24) },
    y: { shape: ['batch'], sizes: [4], dtype: 'i32', data: Int32Array.of(0, 1, 2, 0) },
  }) as const
const step = trainStep(adapt(mlp, full({ targets: ['all'] })), adamw({ lr: 0.1 }))
const targets = ['reference', 'cpu', 'wasm', 'node', 'graph'] as const
const open = (target: TargetName) => compile(step, { target, threads: 1, weights })
const on = (law: string, run: (target: TargetName) => Promise<void>): void => {
  for (const target of targets) {
    test(
      `${law}, on ${target}`,
      { skip: ['node', 'graph'].includes(target) && noNode !== undefined ? noNode : false },
      () => run(target),
    )
  }
}
const disposed = (error: unknown): boolean =>
  error instanceof SessionError && error.message === 'the session is disposed'

on('calls that overlap compute what the same calls compute one after the other', async target => {
  /** Every kind of call; `wait` specifies what happens to each promise before the next call. */
  const results = async (wait: (call: Promise<unknown>) => Promise<unknown>) => {
    await using run = await open(target)
    const calls: Promise<unknown>[] = []
    const call = async (made: Promise<unknown>): Promise<void> => {
      calls.push(made)
      await wait(made)
    }
    for (let k = 0; k < 4; k++) await call(run.step([batchOf(k), batchOf(k + 9)]))
    await call(run.read())
    await call(run.step([batchOf(5)]))
    await call(run.gradients(batchOf(6)))
    await call(run.evaluate(batchOf(7)))
    await call(run.step([batchOf(8)]))
    await call(run.predict(batchOf(9)))
    await call(run.read())
    return Promise.all(calls)
  }
  const overlapping = await results(() => Promise.resolve())
  const sequential = await results(made => made)
  assert.deepEqual(overlapping, sequential)
})

on('a call that fails does not poison those that wait behind it', async target => {
  const losses = async (bad: boolean): Promise<readonly number[]> => {
    await using run = await open(target)
    const wrong = { ...batchOf(1), x: { ...batchOf(1).x, data: new Float32Array(24).fill(Number.NaN) } }
    const calls = [
      run.step([batchOf(0)]),
      ...(bad ? [run.step([wrong]).catch((error: Error) => error)] : []),
      run.step([batchOf(2)]),
    ]
    const made = await Promise.all(calls)
    if (bad) assert.match(String(made[1]), /^SessionError: .* is NaN: nothing was updated$/)
    return made.flatMap(result => ('loss' in result ? [result.loss] : []))
  }
  assert.deepEqual(await losses(true), await losses(false))
})

on('what a call is given may be changed as soon as it returns its promise', async target => {
  const found = async (reuse: boolean) => {
    await using run = await open(target)
    const batch = batchOf(0)
    const calls: Promise<{ readonly loss: number }>[] = []
    const saved = await run.read()
    for (let k = 0; k < 3; k++) {
      const given = reuse ? batch : { ...batch, x: { ...batch.x, data: batch.x.data.slice() } }
      given.x.data.set(uniform(k, 3, 24))
      calls.push(run.step([given, given]))
    }
    const wrote = run.write(saved)
    if (reuse) for (const { data } of [saved.focus.up, saved.focus.down]) data.fill(7)
    const after = run.step([batchOf(3)])
    batch.x.data.fill(0)
    await wrote
    return [...(await Promise.all(calls)), await after]
  }
  assert.deepEqual(await found(true), await found(false))
})

on('disposal waits for what was asked before it; what is asked later is refused by name', async target => {
  const run = await open(target)
  const saved = await run.read()
  const calls = [run.step([batchOf(0)]), run.evaluate(batchOf(0))]
  const ended = run[Symbol.asyncDispose]()
  for (const use of [
    () => run.step([batchOf(0)]),
    () => run.evaluate(batchOf(0)),
    () => run.gradients(batchOf(0)),
    () => run.hvp(batchOf(0), saved.focus),
    () => run.predict(batchOf(0)),
    () => run.read(),
    () => run.write(saved),
    async () => run.decoder({ batch: 1, capacity: 4 }),
    async () => run.certificate({ batch: 4 }),
  ])
    await assert.rejects(use, disposed)
  await Promise.all([...calls, ended, run[Symbol.asyncDispose]()])
})

on('a batch iterator that awaits the session inside itself, and one that ends it, come to an end', async target => {
  const run = await open(target)
  const seen: number[] = []
  const batches = async function* () {
    for (let k = 0; k < 5; k++) {
      await run.step([batchOf(k)])
      const ahead = run.evaluate(batchOf(k))
      yield [batchOf(k)]
      await ahead
      if (k === 2) await run[Symbol.asyncDispose]()
    }
  }
  await assert.rejects(async () => {
    for await (const { loss } of run.steps(batches())) seen.push(loss)
  }, disposed)
  assert.equal(seen.length, 3)
})

on('timers, immediates and abort signals are seen between two steps of a loop', async target => {
  await using run = await open(target)
  await run.step([batchOf(0)])
  for (const [what, stop] of [
    [
      'a timer',
      (seen: () => void) => {
        setTimeout(seen, 0)
      },
    ],
    [
      'an immediate',
      (seen: () => void) => {
        setImmediate(seen)
      },
    ],
    [
      'a signal',
      (seen: () => void) => {
        AbortSignal.timeout(1).addEventListener('abort', seen)
      },
    ],
  ] as const) {
    const seen = new Set<string>()
    const began = performance.now()
    stop(() => {
      seen.add(what)
    })
    while (!seen.has(what) && performance.now() - began < 5000) await run.step([batchOf(0)])
    assert.ok(seen.has(what), `${what} was not seen`)
  }
  // a timer that runs out while a step computes is seen before the next begins
  const order: string[] = []
  setTimeout(() => {
    order.push('timer')
  }, 1)
  const until = performance.now() + 3
  while (performance.now() < until);
  await run.step([batchOf(0)])
  order.push('next step')
  assert.deepEqual(order, ['timer', 'next step'])
})

test('a process signal is seen between two steps of a loop', async () => {
  await using run = await open('reference')
  const seen: string[] = []
  process.once('SIGUSR2', () => {
    seen.push('signal')
  })
  process.kill(process.pid, 'SIGUSR2')
  for (let k = 0; k < 10; k++) await run.step([batchOf(0)])
  assert.deepEqual(seen, ['signal'])
})

test('a signal ends the opening of a session, and the making of programs, with its reason; then nothing is updated', async () => {
  const early = new AbortController()
  const late = new AbortController()
  const reason = new Error('enough')
  early.abort(reason)
  await assert.rejects(compile(step, { target: 'wasm', threads: 1, weights, signal: early.signal }), reason)
  const lazy = {
    ...weights,
    down: {
      read: async () => {
        late.abort(reason)
        return weights.down
      },
    },
    up: weights.up,
  }
  await assert.rejects(
    compile(step, { target: 'wasm', threads: 1, weights: { down: lazy.down, up: lazy.up }, signal: late.signal }).then(
      async run => {
        await using open = run
        await open.step([batchOf(0)])
      },
    ),
    reason,
  )
  const planning = new AbortController()
  await using run = await compile(step, { target: 'reference', weights, signal: planning.signal })
  const before = await run.read()
  setImmediate(() => {
    planning.abort(reason)
  })
  await assert.rejects(run.step([batchOf(0)]), reason)
  assert.deepEqual(await run.read(), before)
})

test('two sessions at once on wasm, and one on cpu between them, compute what each computes alone', async () => {
  const alone = async (target: TargetName) => {
    await using run = await open(target)
    return [await run.step([batchOf(0)]), await run.step([batchOf(1)])]
  }
  const expected = [await alone('wasm'), await alone('wasm'), await alone('cpu')]
  await using first = await open('wasm')
  await using second = await open('wasm')
  await using third = await open('cpu')
  const at = (run: Session<never, never, never, never, never, never> | typeof first) =>
    Promise.all([(run as typeof first).step([batchOf(0)]), (run as typeof first).step([batchOf(1)])])
  assert.deepEqual(await Promise.all([at(first), at(second), at(third)]), expected)
})

const lm = async (target: TargetName) => {
  const loaded = await openTiny()
  try {
    return await compile(await tinyStep(loaded, 'paca'), { target, threads: 1, weights: loaded.weights })
  } finally {
    await loaded.checkpoint.close()
  }
}
const ids = (...data: readonly number[]) =>
  ({ shape: ['batch', 'seq'], sizes: [1, data.length], dtype: 'i32', data: Int32Array.from(data) }) as const

for (const target of ['reference', 'wasm', 'graph'] as const) {
  test(
    `a decoder reads in the order of its calls, also between others, on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      await using run = await lm(target)
      const whole = run.decoder({ batch: 1, capacity: 8 })
      const expected = await whole.next(ids(5, 6, 7, 8))
      const pieces = run.decoder({ batch: 1, capacity: 8 })
      const tokens = ids(5, 6)
      const one = pieces.next(tokens)
      tokens.data.fill(99)
      const between = run.evaluate(await tinyBatch())
      const two = pieces.next(ids(7))
      const three = pieces.next(ids(8))
      assert.throws(() => {
        pieces.rewind(1)
      }, /^SessionError: the decoder is reading/)
      const found = [await one, await two, await three].flatMap(({ data }) => [...data])
      assert.ok(found.length === expected.data.length && found.every((x, i) => Math.abs(x - expected.data[i]!) < 1e-4))
      assert.equal(pieces.position, 4)
      await between
      // a failing call leaves the decoder unchanged; the reference target computes ops that no table has
      if (target !== 'reference') await assert.rejects(pieces.next(ids(5000)))
      const again = await pieces.next(ids(9))
      const straight = await whole.next(ids(9))
      assert.ok(again.data.every((x, i) => Math.abs(x - straight.data[i]!) < 1e-4))
    },
  )

  test(
    `a decoder refuses to go on from what other weights made, on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      await using run = await lm(target)
      const decoder = run.decoder({ batch: 1, capacity: 8 })
      const before = await decoder.next(ids(5, 6))
      await run.step([await tinyBatch()])
      await assert.rejects(decoder.next(ids(7)), /^SessionError: the weights have changed since the decoder read/)
      decoder.rewind(0)
      assert.notDeepEqual((await decoder.next(ids(5, 6))).data, before.data)
      await decoder.next(ids(7))
      const bytes = run.bytes()
      decoder[Symbol.dispose]()
      decoder[Symbol.dispose]()
      if (target !== 'graph') assert.ok(run.bytes() < bytes)
      await assert.rejects(decoder.next(ids(7)), /^SessionError: the decoder is disposed$/)
    },
  )
}

test('a session frees the decoders that are left open, and a decoder may be disposed of after its session', async () => {
  const run = await lm('wasm')
  const decoder = run.decoder({ batch: 1, capacity: 8 })
  const pending = decoder.next(ids(5, 6))
  await Promise.all([pending, run[Symbol.asyncDispose]()])
  assert.equal(run.bytes(), 0)
  decoder[Symbol.dispose]()
  await assert.rejects(decoder.next(ids(7)), disposed)
})

test('the queue is what keeps the order: an engine that is asked directly computes from stale gradients', async () => {
  const line = model({
    params: { w: f32('n', 1) },
    batch: { x: f32('batch', 'n') },
    forward: (p, b) => matmul(b.x, p.w),
    loss: logits => ({ sum: sum(square(logits)), count: scalar(1) }),
  })
  const descent = trainStep(adapt(line, full({ targets: ['w'] })), sgd({ lr: 0.1 }))
  const value = { shape: ['n', 1], sizes: [1, 1], dtype: 'f32', data: Float32Array.of(1) } as const
  const x = { shape: ['batch', 'n'], sizes: [1, 1], dtype: 'f32', data: Float32Array.of(1) } as const
  let asked = 0
  let most = 0
  await using run = await openSession(
    descent,
    async (...of) => {
      const loading = await deviceEngine(referenceDevice())(...of)
      return {
        ...loading,
        start: async own => {
          const engine = await loading.start(own)
          return {
            ...engine,
            step: async batches => {
              asked += 1
              most = Math.max(most, asked)
              try {
                return await engine.step(batches)
              } finally {
                asked -= 1
              }
            },
          }
        },
      }
    },
    { weights: { w: value } },
  )
  await Promise.all([1, 2, 3, 4].map(() => run.step([{ x }])))
  assert.equal(most, 1)
  // w ← w − 0.1 · 2 w, four times
  assert.ok(Math.abs((await run.read()).focus.w.data[0]! - 0.8 ** 4) < 1e-6)
})

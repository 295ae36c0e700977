import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile, SessionError, type Dims, type TargetName, type Values } from '../../src/index.ts'
import { DimsError } from '../../src/compiler.ts'
import type { CausalBatch } from '../../src/model.ts'
import { heldNow } from '../support/held.ts'
import { noNode } from '../support/native-library.ts'
import { curves, methods, openTiny, tinyBatch, tinyColumns, tinyStep, type CurveMethod } from '../support/tiny-llama.ts'

const open = async (method: CurveMethod, target: TargetName, threads = 1) => {
  const loaded = await openTiny()
  try {
    const session = await compile(await tinyStep(loaded, method), { target, threads, weights: loaded.weights })
    return session
  } finally {
    await loaded.checkpoint.close()
  }
}
const batch = await tinyBatch()

const targets = [
  ['reference', 1, 1e-5],
  ['cpu', 1, 1e-3],
  ['node', 1, 1e-3],
  ['wasm', 1, 1e-3],
  ['wasm', 2, 1e-3],
  ['graph', 1, 1e-3],
] as const
for (const [target, threads, tolerance] of targets)
  for (const method of methods) {
    test(
      `the ten-step curve of ${method} is PyTorch's, on ${target} with ${threads} thread(s)`,
      { skip: ['node', 'graph'].includes(target) && noNode !== undefined ? noNode : false },
      async () => {
        await using session = await open(method, target, threads)
        const losses: number[] = []
        for (let i = 0; i < curves.recipe.steps; i++) losses.push((await session.step([batch])).loss)
        const { sum, count } = await session.evaluate(batch)
        losses.push(sum / count)
        losses.forEach((loss, i) =>
          assert.ok(Math.abs(loss - curves[method][i]!) < tolerance, `step ${i}: ${loss}, not ${curves[method][i]}`),
        )
      },
    )
  }

const halves = (b: Values<CausalBatch>): readonly Values<CausalBatch>[] =>
  [0, 1].map(row => {
    const half = ({ data, ...rest }: Values<CausalBatch>['labels']): Values<CausalBatch>['labels'] => ({
      ...rest,
      sizes: [1, 24],
      data: data.slice(24 * row, 24 * (row + 1)),
    })
    return { input_ids: half(b.input_ids), labels: half(b.labels) }
  })

test('two micro-batches are one batch: counts are summed, and divided once', async () => {
  await using whole = await open('paca', 'reference')
  const one = await whole.step([batch])
  const after = await whole.evaluate(batch)
  await using parts = await open('paca', 'reference')
  const two = await parts.step(halves(batch))
  const afterwards = await parts.evaluate(batch)
  // results are rounded to float32 when they are read back
  assert.equal(two.tokens, one.tokens)
  assert.ok(Math.abs(two.loss - one.loss) < 1e-6 && Math.abs(two.gradNorm - one.gradNorm) < 1e-6)
  assert.ok(Math.abs(after.sum - afterwards.sum) < 1e-4)
})

test('a step leaves everything outside the focus bit for bit as it was', async () => {
  const columns = await tinyColumns()
  await using session = await open('paca', 'wasm')
  const before = await session.read()
  for (let i = 0; i < 3; i++) await session.step([batch])
  const after = await session.read()
  // writing the first focus back gives the base model again, so nothing else moved
  const trained = await session.evaluate(batch)
  await session.write({ focus: before.focus, state: after.state })
  const restored = await session.evaluate(batch)
  await using fresh = await open('paca', 'reference')
  const base = await fresh.evaluate(batch)
  assert.notEqual(trained.sum, restored.sum)
  assert.ok(Math.abs(restored.sum / restored.count - base.sum / base.count) < 1e-5)
  assert.deepEqual([...session.selection.keys()].sort(), [...columns.keys()].sort())
})

test('what is read can be written into another session, which goes on as the first would', async () => {
  await using first = await open('paca', 'wasm')
  for (let i = 0; i < 3; i++) await first.step([batch])
  const saved = await first.read()
  const expected = [(await first.step([batch])).loss, (await first.step([batch])).loss]
  await first[Symbol.asyncDispose]()
  await using second = await open('paca', 'wasm')
  await second.write(saved)
  const found = [(await second.step([batch])).loss, (await second.step([batch])).loss]
  assert.deepEqual(found, expected)
})

test('two sessions on wasm share the backend, and neither takes it from the other', async () => {
  const first = await open('paca', 'wasm')
  const second = await open('paca', 'wasm')
  const one = await first.step([batch])
  await first[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
  assert.equal((await second.step([batch])).loss, one.loss)
  await assert.rejects(first.step([batch]), /disposed/)
  await second[Symbol.asyncDispose]()
  assert.equal(heldNow().numTensors, 0)
})

test('logits and gradients agree between reference and wasm', async () => {
  await using oracle = await open('paca', 'reference')
  const logits = (await oracle.predict(batch)).logits
  const gradients = await oracle.gradients(batch)
  await using session = await open('paca', 'wasm')
  const close = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
    for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < 1e-4)
  }
  close((await session.predict(batch)).logits.data, logits.data)
  assert.deepEqual(
    JSON.parse(JSON.stringify(shapesOf(await session.gradients(batch)))),
    JSON.parse(JSON.stringify(shapesOf(gradients))),
  )
})
const shapesOf = (tree: unknown): unknown =>
  JSON.parse(JSON.stringify(tree, (key, value: unknown) => (key === 'data' ? undefined : value)))

test('a decoder that is given a sequence in pieces gives the logits of the whole', async () => {
  await using session = await open('paca', 'wasm')
  const row: Values<CausalBatch> = halves(batch)[0]!
  const whole = (await session.predict(row)).logits
  const vocab = 320
  using decoder = session.decoder({ batch: 1, capacity: 32 })
  const piece = (from: number, to: number) =>
    ({
      shape: ['batch', 'seq'],
      sizes: [1, to - from],
      dtype: 'i32',
      data: row.input_ids.data.slice(from, to),
    }) as const
  for (const [from, to] of [
    [0, 8],
    [8, 9],
    [9, 10],
    [10, 18],
  ] as const) {
    const { data } = await decoder.next(piece(from, to))
    data.forEach((v, i) => assert.ok(Math.abs(v - whole.data[from * vocab + i]!) < 1e-4))
  }
  decoder.rewind(9)
  const again = await decoder.next(piece(9, 10))
  again.data.forEach((v, i) => assert.ok(Math.abs(v - whole.data[9 * vocab + i]!) < 1e-4))
  await assert.rejects(
    decoder.next({ shape: ['batch', 'seq'], sizes: [1, 30], dtype: 'i32', data: new Int32Array(30) }),
    /do not fit into a capacity of 32/,
  )
})

const refusals: readonly (readonly [what: string, run: (dims: Dims) => Promise<unknown>, text: RegExp])[] = [
  [
    'a token outside the vocabulary',
    async () => {
      await using session = await open('paca', 'wasm')
      await session.step([{ ...batch, input_ids: { ...batch.input_ids, data: batch.input_ids.data.map(() => 320) } }])
    },
    /index 320 is not below 320/,
  ],
  [
    'a batch without a scored token',
    async () => {
      await using session = await open('paca', 'reference')
      await session.step([{ ...batch, labels: { ...batch.labels, data: batch.labels.data.map(() => -100) } }])
    },
    /no scored token/,
  ],
  [
    'labels of other sizes than the ids',
    async () => {
      await using session = await open('paca', 'reference')
      await session.step([
        { ...batch, labels: { ...batch.labels, sizes: [2, 12], data: batch.labels.data.slice(0, 24) } },
      ])
    },
    /seq is 24 in input_ids of the batch but 12 in labels of the batch/,
  ],
]
for (const [what, run, text] of refusals) {
  test(`${what} is refused with one sentence`, async () => {
    await assert.rejects(
      run({}),
      error => (error instanceof SessionError || error instanceof DimsError) && text.test(error.message),
    )
  })
}

test('a loss that is not finite updates nothing', async () => {
  const loaded = await openTiny()
  const step = await tinyStep(loaded, 'full')
  await using session = await compile(step, { target: 'reference', weights: loaded.weights })
  await loaded.checkpoint.close()
  const { focus, state } = await session.read()
  const first = focus as unknown as { model: { layers: readonly { self_attn: { q_proj: { data: Float32Array } } }[] } }
  first.model.layers[0]!.self_attn.q_proj.data[0] = Number.NaN
  await session.write({ focus, state })
  await assert.rejects(session.step([batch]), /the loss is NaN: nothing was updated/)
  const after = await session.read()
  assert.deepEqual(after.state, state)
})

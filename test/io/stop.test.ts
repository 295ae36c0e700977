import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attempt, isInterruption, reasonOf, refusal } from '../../src/text/error.ts'
import { readRows } from '../../src/io/index.ts'
import { checkStop, stoppable, giveWay } from '../../src/backend/index.ts'
import { isInterruption as exported, orThrow } from '../../src/text/index.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

test('reading many rows gives timers and signals their turn, and stops where it is asked to', () =>
  inDirectory(async directory => {
    const row = `{"input_ids":[${Array.from({ length: 200 }, (_, i) => i).join()}]}\n`
    const path = await put(directory, 'rows.jsonl', row.repeat(20_000))
    const stopping = new AbortController()
    let ticks = 0
    const timer = setInterval(() => {
      if (++ticks === 2) stopping.abort()
    }, 1)
    try {
      assert.equal(await message(readRows(path, { vocabSize: 320, signal: stopping.signal })), 'interrupted')
      assert.ok(ticks >= 2)
    } finally {
      clearInterval(timer)
    }
    assert.equal(
      (await right(readRows(path, { vocabSize: 320, signal: new AbortController().signal }))).rows.length,
      20_000,
    )
  }))

test('weights of which nothing was read yet are not read once a run was asked to stop', async () => {
  const stopping = new AbortController()
  const read: string[] = []
  const leaf = (name: string) => ({
    read: async () => {
      read.push(name)
      return { shape: [1], sizes: [1], dtype: 'f32', data: Float32Array.of(1) } as const
    },
  })
  const weights = stoppable(
    { a: leaf('a'), list: [leaf('b')], ready: { shape: [1], sizes: [1], dtype: 'f32', data: Float32Array.of(2) } },
    stopping.signal,
  )
  assert.deepEqual([(await weights.a.read()).data[0], (weights.ready as { data: Float32Array }).data[0]], [1, 2])
  stopping.abort()
  await assert.rejects(weights.list[0]!.read(), isInterruption)
  assert.deepEqual(read, ['a'])
})

test('an interruption is told from a fault, also through what wraps it', async () => {
  const stopped = { aborted: true }
  await assert.rejects(giveWay(stopped), isInterruption)
  await giveWay({ aborted: false })
  await giveWay(undefined)
  assert.throws(() => {
    checkStop(stopped)
  }, exported)
  await assert.rejects(
    orThrow(
      attempt('a', async () => {
        checkStop(stopped)
      }),
    ),
    error => isInterruption(error) && reasonOf(error) === 'interrupted',
  )
  const wrapped = ((): unknown => {
    try {
      checkStop(stopped)
      return undefined
    } catch (cause) {
      return new Error('step 3', { cause })
    }
  })()
  assert.ok(isInterruption(wrapped))
  for (const fault of [
    new Error('a'),
    refusal('a', 'ENOSPC'),
    undefined,
    'ABORT_ERR',
    new Error('a', { cause: new Error('b') }),
  ])
    assert.ok(!isInterruption(fault))
})

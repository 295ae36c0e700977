import assert from 'node:assert/strict'
import { test } from 'node:test'
import { microBatch, type MicroBatch, type Row } from '../../src/io/index.ts'
import { scoredCount } from '../../src/io/data/rows.ts'
import {
  batchDims,
  evaluateRows,
  StepFailed,
  train,
  type Evaluable,
  type StepEvent,
  type Trainable,
} from '../../src/train/finetune.ts'

const row = (...ids: readonly number[]): Row => ({ input_ids: Int32Array.from(ids), labels: Int32Array.from(ids) })
const rows = [row(1, 2, 3), row(4, 5), row(6, 7, 8, 9, 10, 11, 12, 13, 14)]
const scored = ({ labels }: MicroBatch): number => {
  const [batch = 0, seq = 0] = labels.sizes
  const rowsOf = Array.from({ length: batch }, (_, i) => labels.data.subarray(i * seq, (i + 1) * seq))
  return rowsOf.reduce((n, ids) => n + scoredCount({ input_ids: ids, labels: ids }), 0)
}

/** A session whose loss is 2 for every scored token. */
const session: Evaluable & Trainable = {
  evaluate: async batch => ({ sum: 2 * scored(batch), count: scored(batch) }),
  step: async batches => ({ loss: 2, gradNorm: 1, tokens: batches.reduce((n, batch) => n + scored(batch), 0) }),
}
const collect = async (events: AsyncIterable<StepEvent>): Promise<readonly StepEvent[]> => {
  const all: StepEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

test('evaluation is a mean over all scored tokens, whatever the batch', async () => {
  for (const batch of [1, 2, 3, 4]) assert.deepEqual(await evaluateRows(session, rows, batch), { loss: 2, tokens: 11 })
})
test('one length and one capacity hold every micro-batch', () => {
  const dims = batchDims(rows, { batch: 2, epochs: 1 })
  assert.deepEqual(dims, { batch: 2, seq: 16, scored: 8 })
  assert.deepEqual(microBatch(rows.slice(2), 2, dims).input_ids.sizes, [2, 16])
})
test('steps are counted from 1 and carry the rate of their update', async () => {
  const events = await collect(train(session, rows, { batch: 2, accumulate: 2, steps: 3 }, k => k / 10))
  assert.deepEqual(
    events.map(({ step, lr, tokens }) => [step, lr, tokens]),
    [
      [1, 0.1, 11],
      [2, 0.2, 11],
      [3, 0.3, 11],
    ],
  )
})
test('a run that is told to stop ends after the step it is in', async () => {
  const stopping = new AbortController()
  const seen: number[] = []
  for await (const { step } of train(session, rows, { batch: 1, steps: 100 }, () => 1, { signal: stopping.signal })) {
    seen.push(step)
    if (step === 3) stopping.abort()
  }
  assert.deepEqual(seen, [1, 2, 3])
})
test('a rate that is not finite ends a run before its step', async () => {
  for (const wrong of [NaN, Infinity, -Infinity]) {
    const seen: number[] = []
    await assert.rejects(
      async () => {
        for await (const { step } of train(session, rows, { batch: 1, steps: 5 }, k => (k < 3 ? 1 : wrong)))
          seen.push(step)
      },
      new StepFailed(`step 3: the learning rate is ${wrong}: nothing was updated`),
    )
    assert.deepEqual(seen, [1, 2])
  }
})
test('a step that fails is named', async () => {
  let calls = 0
  const sentence = 'the loss is NaN: nothing was updated'
  const failing: Trainable = {
    step: (...args) => (++calls === 2 ? Promise.reject(new Error(sentence)) : session.step(...args)),
  }
  await assert.rejects(
    collect(train(failing, rows, { batch: 1, steps: 5 }, () => 1)),
    new StepFailed(`step 2: ${sentence}`),
  )
})

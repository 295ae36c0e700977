import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  epochsBegun,
  lengthFor,
  microBatch,
  microBatches,
  planSteps,
  scoredCapacity,
  stepCount,
  type BatchPlan,
  type MicroBatch,
} from '../../src/io/data/batches.ts'
import { scoredCount, type Row } from '../../src/io/data/rows.ts'

const row = (ids: readonly number[], labels: readonly number[] = ids): Row => ({
  input_ids: Int32Array.from(ids),
  labels: Int32Array.from(labels),
})

test('rows are padded behind and missing rows are filled; neither is scored', () => {
  const { input_ids, labels } = microBatch([row([5, 6, 7], [-100, 6, 7]), row([8])], 3, { seq: 4, padId: 9 })
  assert.deepEqual(input_ids, {
    shape: ['batch', 'seq'],
    sizes: [3, 4],
    dtype: 'i32',
    data: Int32Array.of(5, 6, 7, 9, 8, 9, 9, 9, 9, 9, 9, 9),
  })
  assert.deepEqual([...labels.data], [-100, 6, 7, -100, 8, -100, -100, -100, -100, -100, -100, -100])
})

test('without shuffling rows keep their order; batches end with the epoch, steps go on across it', () => {
  const steps = [...planSteps(3, { batch: 2, accumulate: 3, steps: 2 })]
  assert.deepEqual(steps, [
    [[0, 1], [2], [0, 1]],
    [[2], [0, 1], [2]],
  ])
  assert.deepEqual([...planSteps(3, { batch: 2, accumulate: 3, epochs: 2 })], [[[0, 1], [2], [0, 1]], [[2]]])
})

const plans = fc.record({
  batch: fc.integer({ min: 1, max: 6 }),
  accumulate: fc.integer({ min: 1, max: 4 }),
  shuffle: fc.boolean(),
  seed: fc.nat(),
  epochs: fc.integer({ min: 1, max: 3 }),
})

type Plan = (rowCount: number, plan: BatchPlan) => Iterable<readonly (readonly number[])[]>

/**
 * The law: every row once an epoch, batches of at most `batch`, steps of exactly `accumulate` micro-batches but for the
 * last.
 */
const coversEveryEpoch = (plan: Plan) =>
  fc.property(fc.integer({ min: 1, max: 20 }), plans, (rows, options) => {
    const steps = [...plan(rows, options)]
    assert.equal(steps.length, stepCount(rows, options))
    steps.slice(0, -1).forEach(step => assert.equal(step.length, options.accumulate))
    const order = steps.flat().flat()
    steps.flat().forEach(indices => assert.ok(indices.length > 0 && indices.length <= options.batch))
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const seen = order.slice(epoch * rows, (epoch + 1) * rows)
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        Array.from({ length: rows }, (_, i) => i),
      )
    }
    assert.equal(order.length, rows * options.epochs)
  })

test('every row appears once an epoch; dropping the last batch, or drawing with replacement, is found out (mutants)', () => {
  fc.assert(coversEveryEpoch(planSteps))
  assert.throws(() =>
    fc.assert(
      coversEveryEpoch((rows, plan) =>
        [...planSteps(rows, plan)].map(step => step.filter(indices => indices.length === plan.batch)),
      ),
    ),
  )
  assert.throws(() =>
    fc.assert(
      coversEveryEpoch((rows, plan) =>
        [...planSteps(rows, plan)].map(step => step.map(indices => indices.map(i => i % Math.max(1, rows - 1)))),
      ),
    ),
  )
})

test('the order is a function of the seed, and every epoch has its own', () => {
  const order = (seed: number): readonly number[] =>
    [...planSteps(20, { batch: 4, epochs: 2, shuffle: true, seed })].flat().flat()
  assert.deepEqual(order(1), order(1))
  assert.notDeepEqual(order(1), order(2))
  assert.notDeepEqual(order(1).slice(0, 20), order(1).slice(20))
})

test('steps are made when they are asked for', () => {
  const endless = microBatches([row([1, 2])], { batch: 1, steps: Infinity }, { seq: 8 })
  assert.equal(endless.next().value?.length, 1)
  endless.return(undefined)
})

const rowsOf = fc
  .array(fc.array(fc.record({ id: fc.nat(9), scored: fc.boolean() }), { maxLength: 14 }), {
    minLength: 1,
    maxLength: 12,
  })
  .map(rows =>
    rows.map(tokens =>
      row(
        tokens.map(({ id }) => id),
        tokens.map(({ id, scored }) => (scored ? id : -100)),
      ),
    ),
  )

/** Scored positions after the shift of labels. */
const scoredIn = ({ labels }: MicroBatch): number =>
  labels.data.filter((label, i) => i % (labels.sizes[1] ?? 1) > 0 && label !== -100).length

test('every scored token appears once an epoch, and every micro-batch fits the capacity, which is the least multiple of 8', () => {
  fc.assert(
    fc.property(rowsOf, plans, (rows, plan) => {
      const scored = [...microBatches(rows, plan, { seq: lengthFor(rows) })].flat().map(scoredIn)
      const perEpoch = rows.reduce((sum, row) => sum + scoredCount(row), 0)
      assert.equal(
        scored.reduce((sum, n) => sum + n, 0),
        plan.epochs * perEpoch,
      )
      assert.equal(scoredCapacity(rows, plan), Math.max(8, Math.ceil(Math.max(...scored) / 8) * 8))
    }),
  )
})

test('mutant: a capacity that counts the label at position 0, or one row too few, is found out', () => {
  const agrees = (capacity: (rows: readonly Row[], plan: BatchPlan) => number) =>
    fc.property(rowsOf, plans, (rows, plan) => capacity(rows, plan) === scoredCapacity(rows, plan))
  const countsFirst = (rows: readonly Row[], plan: BatchPlan): number =>
    scoredCapacity(
      rows.map(({ input_ids, labels }) => ({ input_ids, labels: Int32Array.of(-100, ...labels) })),
      plan,
    )
  assert.throws(() => fc.assert(agrees(countsFirst), { numRuns: 1000 }))
  assert.throws(() =>
    fc.assert(
      agrees((rows, plan) => scoredCapacity(rows.slice(0, Math.max(1, rows.length - 1)), plan)),
      { numRuns: 1000 },
    ),
  )
})

test('the length is the least multiple of 8 that holds the longest row, within the limit', () => {
  const ofLengths = (...lengths: readonly number[]): readonly Row[] =>
    lengths.map(length => row(Array.from({ length }, () => 1)))
  assert.equal(lengthFor(ofLengths(3, 17)), 24)
  assert.equal(lengthFor(ofLengths(24)), 24)
  assert.equal(lengthFor(ofLengths(30), 20), 20)
  assert.equal(lengthFor(ofLengths(1)), 8)
})

test('no rows, or a batch of none, is a mistake of the program', () => {
  assert.throws(() => [...planSteps(0, { batch: 1, steps: 1 })], RangeError)
  assert.throws(() => [...planSteps(1, { batch: 0, steps: 1 })], RangeError)
})

test('a run that goes on has the next epochs of a longer run, whatever the sizes; beginning with the first again is found out (mutant)', () => {
  const goesOn = (begin: (rows: number, plan: BatchPlan, steps: number) => number) =>
    fc.property(
      fc.integer({ min: 2, max: 20 }),
      plans,
      fc.integer({ min: 1, max: 3 }),
      (rows, { epochs, ...plan }, more) => {
        const order = (epochs: number, firstEpoch: number): readonly number[] =>
          [...planSteps(rows, { ...plan, epochs, firstEpoch })].flat().flat()
        const first = begin(rows, { ...plan, epochs }, stepCount(rows, { ...plan, epochs }))
        assert.deepEqual([...order(epochs, 0), ...order(more, first)], order(epochs + more, 0))
      },
    )
  fc.assert(goesOn(epochsBegun))
  assert.throws(() => fc.assert(goesOn(() => 0)))
  assert.throws(
    () =>
      fc.assert(
        goesOn((rows, { batch, accumulate }, steps) =>
          epochsBegun(rows, { batch, accumulate: accumulate!, steps }, steps),
        ),
      ),
    'the last step counted as a whole one is found out too',
  )
  assert.equal(epochsBegun(10, { batch: 4, steps: 9 }, 4), 2, 'an epoch that has begun counts')
  assert.equal(epochsBegun(10, { batch: 4, steps: 9, firstEpoch: 5 }, 0), 5)
})

test('a hundred million steps and two billion epochs are planned in milliseconds, with room for every micro-batch', () => {
  const rows = Array.from({ length: 100 }, (_, i) => row(Array.from({ length: 2 + (i % 60) }, () => 1)))
  for (const length of [{ steps: 1e8 }, { epochs: 2e9 }] as const) {
    for (const shuffle of [true, false]) {
      const plan: BatchPlan = { batch: 4, accumulate: 2, shuffle, ...length }
      const began = performance.now()
      const capacity = scoredCapacity(rows, plan)
      assert.ok(stepCount(rows.length, plan) >= 1e8)
      const first = planSteps(rows.length, plan).next().value
      assert.equal(first?.flat().length, 8)
      assert.ok(performance.now() - began < 1000)
      assert.ok(capacity >= scoredCapacity(rows, { ...plan, steps: 500 }), 'a longer plan needs no less')
      assert.ok(capacity <= 240, 'and never more than the largest rows together')
    }
  }
})

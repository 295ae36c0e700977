import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import * as fc from 'fast-check'
import { inOrder } from '../../../src/io/images/in-order.ts'

interface Run {
  readonly delays: readonly number[]
  readonly ahead: number
  readonly together: number
  /** Results that the reader takes before it stops. */
  readonly taken: number
}
const runs: fc.Arbitrary<Run> = fc.record({
  delays: fc.array(fc.nat(6), { maxLength: 30 }),
  ahead: fc.integer({ min: 1, max: 8 }),
  together: fc.integer({ min: 1, max: 8 }),
  taken: fc.nat(35),
})

/** Tasks that end after some turns come out in order, within the bounds, and none is left when the loop ends. */
const bounded = (ordered: typeof inOrder) =>
  fc.asyncProperty(runs, async ({ delays, ahead, together, taken }) => {
    let [started, running, most, delivered, mostAhead] = [0, 0, 0, 0, 0]
    const task = (turns: number, i: number) => async (): Promise<number> => {
      started++
      most = Math.max(most, ++running)
      mostAhead = Math.max(mostAhead, started - delivered)
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      running--
      return i
    }
    const results: number[] = []
    for await (const result of ordered(delays.map(task), { ahead, together })) {
      delivered++
      results.push(result)
      if (results.length >= taken) break
    }
    const startedThen = started
    assert.equal(running, 0, 'work goes on after the loop')
    for (let turn = 0; turn < 10; turn++) await setImmediate()
    assert.equal(started, startedThen, 'work starts after the loop')
    assert.deepEqual(results, [...delays.keys()].slice(0, Math.max(1, taken)))
    assert.ok(most <= together, `${most} at the same time`)
    assert.ok(mostAhead <= ahead + 1, `${mostAhead} ahead`)
  })

test('results come in order, within the bounds, and no work is left when the reader stops; all at once, by speed, and without an end are found out (mutants)', async () => {
  await fc.assert(bounded(inOrder))
  const mutants: readonly (typeof inOrder)[] = [
    async function* (tasks) {
      yield* await Promise.all([...tasks].map(task => task()))
    },
    async function* (tasks) {
      const made = [...tasks].map((task, i) => task().then(value => ({ i, value })))
      for (const left = new Map(made.entries()); left.size > 0;) {
        const { i, value } = await Promise.race(left.values())
        left.delete(i)
        yield value
      }
    },
    async function* (tasks) {
      const all = [...tasks]
      let next = all[0]?.()
      for (let i = 0; i < all.length; i++) {
        const value = await next!
        next = all[i + 1]?.()
        yield value
      }
    },
  ]
  for (const mutant of mutants) await assert.rejects(fc.assert(bounded(mutant)))
})

test('work goes on while the reader is busy, up to the bound', async () => {
  let started = 0
  const tasks = Array.from({ length: 20 }, () => async () => {
    started++
    await setImmediate()
  })
  for await (const _ of inOrder(tasks, { ahead: 5, together: 2 })) {
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    // the result that the reader has, and five ahead of it
    assert.equal(started, 6)
    break
  }
})

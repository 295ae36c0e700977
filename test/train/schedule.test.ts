import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { add, scalar } from '../../src/tensor/index.ts'
import { rateAt, runSchedule, scheduleNames, type ScheduleOptions } from '../../src/train/index.ts'
import type { Schedule } from '../../src/tune/index.ts'

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 + 1e-9 * Math.abs(b)

const options: fc.Arbitrary<ScheduleOptions> = fc
  .record({
    schedule: fc.constantFrom(...scheduleNames),
    lr: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    warmup: fc.integer({ min: 0, max: 20 }),
    rest: fc.integer({ min: 1, max: 200 }),
  })
  .map(({ warmup, rest, ...o }) => ({ ...o, warmup, steps: warmup + rest }))

/**
 * The first of w warm-up steps has lr/w, the last one lr; decaying schedules are 0 on the last step; the constant
 * stays.
 */
const law = (make: (o: ScheduleOptions) => Schedule) =>
  fc.property(options, o => {
    const rate = make(o)
    const at = (k: number): number => rateAt(rate, k)
    const { lr, warmup, steps } = o
    return (
      (warmup === 0 || (near(at(1), lr / warmup) && near(at(warmup), lr))) &&
      (o.schedule === 'constant' ? near(at(steps), lr) : near(at(steps), 0))
    )
  })

test('warm-up begins with lr/w, and every schedule but the constant one ends at 0 on the last step', () => {
  fc.assert(law(runSchedule))
})

test('a schedule that counts from 0 is refuted', () => {
  const early =
    (o: ScheduleOptions): Schedule =>
    count =>
      runSchedule(o)(add(count, scalar(-1)))
  assert.equal(fc.check(law(early)).failed, true)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { StepWork, Work } from '../../src/compile/index.ts'
import {
  affineWork,
  plainRoofline,
  secondsOf,
  withLaunches,
  type Roofline,
} from '../../src/program/reproduce/roofline.ts'
import { smallAccountant } from '../support/small-accounts.ts'

const of = async (method: 'lora' | 'dora' | 'paca') => {
  const accountant = await smallAccountant({ model: 'llama', method })
  return (batch: number): StepWork => accountant.work({ batch, seq: 12 })
}
/** Slow enough that operations, bytes and launches of a small model all matter. */
const slow: Roofline = { flops: 2e9, bytes: 4e8, launch: 3e-7 }
const kernelsOf = ({ forward, backward }: StepWork): readonly Work[] => [...forward.kernels, ...backward.kernels]
const near = (found: number, known: number): boolean => Math.abs(found / known - 1) < 1e-6

test('the work of a batch follows from those of 1 and 2, kernel by kernel', async () => {
  for (const method of ['lora', 'dora', 'paca'] as const) {
    const work = await of(method)
    assert.deepEqual(affineWork(work(1), work(2))(6), work(6))
  }
})
test('the constants of a device follow from the seconds of its steps', async () => {
  const [row, other] = [await of('paca'), await of('lora')]
  const timed = (work: StepWork, device: Roofline) => ({ work, seconds: secondsOf(work, device).whole })
  const found = withLaunches([timed(row(1), slow), timed(row(19), slow)], timed(other(15), slow))
  for (const key of ['flops', 'bytes', 'launch'] as const)
    assert.ok(near(found[key], slow[key]), `${key} ${found[key]}`)
  const plain = { ...slow, launch: 0 }
  const without = plainRoofline([timed(row(1), plain), timed(row(19), plain)])
  for (const key of ['flops', 'bytes'] as const) assert.ok(near(without[key], slow[key]), `${key} ${without[key]}`)
  assert.equal(without.launch, 0)
  // mutant: the roofline without launches does not give those of a device that has them
  const mutant = plainRoofline([timed(row(1), slow), timed(row(19), slow)])
  assert.ok(!near(mutant.flops, slow.flops))
})

/** The law: a step takes at least as long as all its operations or all its bytes, and no longer than both, and launches. */
const bounded = (of: (work: StepWork, device: Roofline) => number) =>
  fc.property(
    fc.array(fc.record({ flops: fc.nat(1000), bytes: fc.nat(1000) }), { minLength: 1, maxLength: 8 }),
    fc.record({ flops: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 1, max: 9 }), launch: fc.nat(9) }),
    (kernels, device) => {
      const sum = (key: keyof Work): number => kernels.reduce((all, kernel) => all + kernel[key], 0)
      const pass = { flops: sum('flops'), bytes: sum('bytes'), kernels }
      const empty = { flops: 0, bytes: 0, kernels: [] }
      const seconds = of({ forward: pass, backward: empty }, device) - device.launch * kernels.length
      const [first, second] = [sum('flops') / device.flops, sum('bytes') / device.bytes]
      return seconds >= Math.max(first, second) - 1e-9 && seconds <= first + second + 1e-9
    },
  )
test('a step takes as long as the operations or the bytes of each kernel, and a launch for each', () => {
  fc.assert(bounded((work, device) => secondsOf(work, device).whole))
  // mutant: the operations of a kernel alone
  const alone = (work: StepWork, device: Roofline): number =>
    kernelsOf(work).reduce((all, { flops }) => all + device.launch + flops / device.flops, 0)
  assert.equal(fc.check(bounded(alone)).failed, true)
})

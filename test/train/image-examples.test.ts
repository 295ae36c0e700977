import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { planSteps, type BatchPlan, type Preprocessing } from '../../src/io/index.ts'
import { imageExamples } from '../../src/train/finetune.ts'
import { goldenImages } from '../support/pictures.ts'

const preprocessing: Preprocessing = {
  scaling: { to: 'exact', height: 1, width: 1 },
  resampling: 'bilinear',
  size: { height: 1, width: 1 },
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
}
/** One image many times, each with its index as its label. */
const numbered = (count: number) =>
  Array.from({ length: count }, (_, label) => ({ file: join(goldenImages, 'png-pixel.png'), label }))

const plans: fc.Arbitrary<readonly [number, BatchPlan]> = fc
  .record({
    count: fc.integer({ min: 1, max: 9 }),
    batch: fc.integer({ min: 1, max: 5 }),
    accumulate: fc.integer({ min: 1, max: 3 }),
    shuffle: fc.boolean(),
    seed: fc.integer({ min: 0, max: 9 }),
    firstEpoch: fc.integer({ min: 0, max: 3 }),
    length: fc.oneof(
      fc.record({ steps: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ epochs: fc.integer({ min: 1, max: 3 }) }),
    ),
  })
  .map(({ count, length, ...plan }) => [count, { ...plan, ...length }])

const follows =
  (plan: (plan: BatchPlan) => BatchPlan) =>
  async ([count, asked]: readonly [number, BatchPlan]): Promise<boolean> => {
    const found: number[][][] = []
    for await (const step of imageExamples(numbered(count), preprocessing).steps(plan(asked)))
      found.push(step.map(({ labels }) => [...labels.data]))
    return JSON.stringify(found) === JSON.stringify([...planSteps(count, asked)])
  }

test('images come in the order of the plan, as rows do', async () => {
  await fc.assert(
    fc.asyncProperty(
      plans,
      follows(plan => plan),
    ),
    { numRuns: 60 },
  )
})
test('images come in the order of the plan: mutants are refuted', async () => {
  const mutants: readonly ((plan: BatchPlan) => BatchPlan)[] = [
    plan => ({ ...plan, firstEpoch: 0, shuffle: true }),
    plan => ({ ...plan, accumulate: 1 }),
    plan => ({ ...plan, batch: plan.batch + 1 }),
  ]
  for (const mutant of mutants) {
    const { failed } = await fc.check(fc.asyncProperty(plans, follows(mutant)), { numRuns: 60, endOnFailure: true })
    assert.ok(failed)
  }
})

test('images that are all broken end a loop without end', async () => {
  const images = [{ file: join(goldenImages, 'make.py'), label: 0 }]
  const broken: string[] = []
  const examples = imageExamples(images, preprocessing, {
    skipBroken: true,
    onBroken: (_, file) => {
      broken.push(file)
    },
  })
  await assert.rejects(async () => {
    for await (const _ of examples.steps({ batch: 1, steps: 5 }));
  }, /all 1 images are broken/)
  assert.equal(broken.length, 1)
})

/** Tests if the steps behind the first `after` ones are those of the whole plan, with an image that is broken. */
const goesOn =
  (behind: (after: number) => number) =>
  async ([[count, plan], broken, part]: readonly [readonly [number, BatchPlan], number, number]): Promise<boolean> => {
    const images = [...numbered(count), { file: join(goldenImages, 'there-is-none.png'), label: -1 }]
    const rotated = [...images.slice(broken % (count + 1)), ...images.slice(0, broken % (count + 1))]
    const all = [
      imageExamples(numbered(count), preprocessing),
      imageExamples(rotated, preprocessing, { skipBroken: true }),
    ]
    for (const examples of all) {
      const labels = async (after: number): Promise<readonly unknown[]> => {
        const found: unknown[] = []
        for await (const step of examples.steps(plan, after)) found.push(step.map(({ labels: { data } }) => [...data]))
        return found
      }
      const whole = await labels(0)
      const after = Math.floor(part * whole.length)
      if (JSON.stringify(await labels(behind(after))) !== JSON.stringify(whole.slice(after))) return false
    }
    return true
  }
const stopped = fc.tuple(plans, fc.nat({ max: 9 }), fc.double({ min: 0, max: 0.99, noNaN: true }))

test('the steps of images behind some that were made are those of the whole plan, also if broken ones are left out', async () => {
  await fc.assert(
    fc.asyncProperty(
      stopped,
      goesOn(after => after),
    ),
    { numRuns: 25 },
  )
  const mutant = await fc.check(
    fc.asyncProperty(
      stopped,
      goesOn(() => 0),
    ),
    { numRuns: 25, endOnFailure: true },
  )
  assert.ok(mutant.failed)
})

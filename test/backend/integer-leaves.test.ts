import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  compile,
  f32,
  full,
  i32,
  model,
  sgd,
  size,
  square,
  sub,
  sum,
  take,
  trainStep,
  type TargetName,
} from '../../src/index.ts'
import { everything as all, frozen, maskedLeaves } from '../../src/compiler.ts'
import { nodeTest } from '../support/native-library.ts'

const embedding = model({
  params: { table: f32('rows', 'hidden'), order: i32('batch') },
  batch: { y: f32('batch', 'hidden') },
  forward: p => take(p.table, p.order, 0),
  loss: (made, { y }) => ({ sum: sum(square(sub(made, y))), count: size('batch') }),
})
const weights = {
  table: { shape: ['rows', 'hidden'], sizes: [3, 2], dtype: 'f32', data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  order: { shape: ['batch'], sizes: [2], dtype: 'i32', data: Int32Array.of(2, 0) },
} as const
const batch = {
  y: { shape: ['batch', 'hidden'], sizes: [2, 2], dtype: 'f32', data: Float32Array.of(0, 0, 0, 0) },
} as const
const tuned = adapt(embedding, full({ targets: ['all'] }))
const masks: readonly ['all', 'frozen'] = [tuned.mask.table.mask, tuned.mask.order.mask]
assert.deepEqual(masks, ['all', 'frozen'])
const trains = async (target: TargetName): Promise<void> => {
  await using run = await compile(trainStep(tuned, sgd({ lr: 0.01 })), { target, weights })
  const first = await run.step([batch])
  assert.ok((await run.step([batch])).loss < first.loss)
  assert.deepEqual(Array.from((await run.read()).focus.table.data.subarray(2, 4)), [3, 4], 'a row that nothing reads')
}
for (const target of ['reference', 'wasm', 'cpu'] as const)
  test(`all trains what is a real number, and no integer, on ${target}`, () => trains(target))
for (const target of ['node', 'graph'] as const) nodeTest(`and on ${target}`, () => trains(target))

test('an integer leaf is refused by name', () => {
  assert.throws(() => adapt(embedding, full({ targets: ['order'] })), {
    name: 'UnknownTarget',
    message: 'full trains real numbers, and order is i32',
  })
  assert.throws(() => adapt(embedding, full({ targets: ['all', 'order'] })), {
    message: 'full trains real numbers, and order is i32',
  })
  assert.throws(() => maskedLeaves(embedding.params, { table: frozen, order: all }), {
    message: 'the mask trains order, which is i32: only f32 is trained',
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  compile,
  lora,
  nf4,
  quantized,
  sgd,
  trainStep,
  type Method,
  type Opaque,
  type TargetName,
} from '../../src/index.ts'
import { inputGroups } from '../../src/compiler.ts'
import { llamaArchitecture } from '../../src/model/index.ts'
import { adapterOf, batch, names, small, tunedBy, weights } from '../support/methods.ts'
import { noNode } from '../support/native-library.ts'
import { openTiny, tinyBatch } from '../support/tiny-llama.ts'

const open = (adapter: Method<Opaque>, target: TargetName) =>
  compile(trainStep(tunedBy(adapter), sgd({ lr: 0.05 })), { target, weights, threads: 1 })
const losses = async (adapter: Method<Opaque>, target: TargetName, steps = 3): Promise<readonly number[]> => {
  await using session = await open(adapter, target)
  const found: number[] = []
  for (let i = 0; i < steps; i++) found.push((await session.step([batch])).loss)
  return found
}
const isNear = (a: readonly number[], b: readonly number[], tolerance: number): boolean =>
  a.every((x, i) => Math.abs(x - b[i]!) < tolerance)

/** All targets on this machine, except the one that defines the meaning. */
const targets: readonly TargetName[] = noNode === undefined ? ['wasm', 'cpu', 'node', 'graph'] : ['wasm', 'cpu']
const methods: readonly (readonly [name: string, adapter: () => Method<Opaque>])[] = [
  ...names.map(name => [name, () => adapterOf(name)] as const),
  ...(['lora', 'dora', 'lorafa'] as const).map(
    name => [`${name} with dropout`, () => adapterOf(name, { dropout: 0.3 })] as const,
  ),
  ...(['paca', 'lora', 'dora', 'shira'] as const).map(
    name => [`${name} on nf4`, () => quantized(nf4({ double: true }))(adapterOf(name))] as const,
  ),
  [
    'paca on nf4 with shared columns',
    () => quantized(nf4({ double: false }))(adapterOf('paca', { groups: [['layers.0.up', 'layers.1.up']] })),
  ],
]
for (const [name, make] of methods) {
  test(`${name} trains alike on every target`, async () => {
    const due = await losses(make(), 'reference')
    for (const target of targets) {
      const found = await losses(make(), target)
      assert.ok(isNear(found, due, 2e-5), `${target}: ${found.join()} is not ${due.join()}`)
    }
  })
}

for (const name of ['lora', 'dora', 'lorafa'] as const) {
  test(`dropout of ${name} follows from the seed and the step, and evaluation has none`, async () => {
    const of = (dropout: number, seed = 1) => adapterOf(name, { dropout, seed })
    const [without, first, again] = [
      await losses(of(0), 'reference'),
      await losses(of(0.3), 'reference'),
      await losses(of(0.3), 'reference'),
    ]
    assert.deepEqual(first, again)
    // B is 0 at first, so A's input does not matter before the first update
    assert.ok(
      Math.abs(first[0]! - without[0]!) < 1e-6 && Math.abs(first[2]! - without[2]!) > 1e-4,
      `${first.join()} and ${without.join()}`,
    )
    await using dropping = await open(of(0.3), 'reference')
    await using plain = await open(of(0), 'reference')
    const trained = await (async () => {
      await dropping.step([batch])
      return dropping.read()
    })()
    await plain.write({ ...trained, focus: trained.focus } as Parameters<typeof plain.write>[0])
    assert.deepEqual(await dropping.evaluate(batch), await plain.evaluate(batch))
    // two micro-batches of one step draw different numbers
    const one = await dropping.gradients(batch)
    await dropping.step([batch, batch])
    await dropping.write(trained)
    assert.notDeepEqual(await dropping.gradients(batch), one)
  })
}

for (const target of targets.filter(name => name === 'wasm' || name === 'graph')) {
  test(`a LLaMA with dropout trains, evaluates and generates on ${target}`, async () => {
    const { model, weights: own, checkpoint } = await openTiny()
    const tuned = adapt(model, lora({ targets: llamaArchitecture.targets, rank: 4, dropout: 0.2, seed: 0 }))
    await using session = await compile(trainStep(tuned, sgd({ lr: 0.1 })), { target, weights: own, threads: 1 })
    await checkpoint.close()
    const data = await tinyBatch()
    const before = await session.evaluate(data)
    for (let i = 0; i < 3; i++) await session.step([data])
    const after = await session.evaluate(data)
    assert.ok(after.sum < before.sum)
    using decoder = session.decoder({ batch: 1, capacity: 4 })
    const { data: next } = await decoder.next({
      shape: ['batch', 'seq'],
      sizes: [1, 2],
      dtype: 'i32',
      data: data.input_ids.data.slice(0, 2),
    })
    const { logits: whole } = await session.predict(
      {
        input_ids: { ...data.input_ids, sizes: [1, 2], data: data.input_ids.data.slice(0, 2) },
        labels: { ...data.labels, sizes: [1, 2], data: data.labels.data.slice(0, 2) },
      },
      { scored: 1 },
    )
    assert.ok(next.every((x: number, i: number) => Math.abs(x - whole.data[i]!) < 1e-4))
  })
}

test('a quantized leaf is held in 4.127 bits a weight, and in no other form', async () => {
  const held = async (adapter: Method<Opaque>): Promise<number> => {
    await using session = await open(adapter, 'wasm')
    await session.step([batch])
    await session.evaluate(batch)
    return session.bytes()
  }
  // two layers of 12 × 20 and 20 × 12: four blocks of 64 each, with one scale of their scales
  const leaf = (4 * 64) / 2 + 4 + 4 + 4
  const inF32 = 4 * 240
  assert.equal(
    (await held(adapterOf('lora'))) - (await held(quantized(nf4({ double: true }))(adapterOf('lora')))),
    4 * (inF32 - leaf),
  )
})

test('columns that leaves share are chosen once', async () => {
  const groups = inputGroups(small)
  assert.deepEqual(groups, [], 'the small model applies no two leaves to one input')
  await using session = await open(adapterOf('paca', { groups: [['layers.0.up', 'layers.1.up']] }), 'reference')
  assert.deepEqual(session.selection.get('layers.0.up'), session.selection.get('layers.1.up'))
  assert.notDeepEqual(session.selection.get('layers.0.down'), session.selection.get('layers.1.down'))
})

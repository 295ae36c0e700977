import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { chooseColumns, type Shape, type Value } from '../../src/tensor/index.ts'
import { load, loadAdapter, saveAdapter, type Adapter } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { evaluate, exportAdapter, type EvaluateOptions, type FinetuneOptions } from '../../src/program/index.ts'
import { withAdapter } from '../../src/train/adapted.ts'
import { leaves, selectByWeight, methodNames, recordOf, type MethodName } from '../../src/tune/index.ts'
import { golden } from '../support/tiny-llama.ts'
import { goldenRows, tiny, writeRows } from '../support/command-line.ts'
import { at, data, tuned } from '../support/finetuned.ts'

const lossOf = async (adapter: readonly string[], more: Partial<EvaluateOptions> = {}): Promise<number> =>
  (await evaluate({ model: tiny, data, batch: 2, target: 'wasm', threads: 1, adapter, ...more })).loss
/** The numbers of epochs in adapters' settings. */
const epochsOf = (...adapters: readonly string[]): Promise<readonly unknown[]> =>
  Promise.all(adapters.map(async out => (await orThrow(loadAdapter(out))).settings['epochsBegun']))
const near = (a: number, b: number, tolerance = 2e-5): void => {
  assert.ok(Math.abs(a - b) < tolerance, `${a} is not ${b}`)
}
const ranked = (method: MethodName): Partial<FinetuneOptions> =>
  recordOf(method).rank === undefined ? { method } : { method, rank: 4 }

// a LLaMA has no biases
const here = methodNames.filter(method => recordOf(method).reach !== 'bias')
for (const method of here) {
  test(`${method}: what is saved evaluates as it did when it was trained, and a run goes on from there`, async () => {
    const { done, out } = await tuned(method, ranked(method))
    assert.ok(done.evalLossAfter! < done.evalLossBefore!)
    near(await lossOf([out]), done.evalLossAfter!)
    const next = await tuned(`${method}-on`, { adapter: out })
    near(next.done.evalLossBefore!, done.evalLossAfter!)
    assert.equal(next.done.trainable, done.trainable)
    near(await lossOf([next.out]), next.done.evalLossAfter!)
  })
}

for (const method of here.filter(name => recordOf(name).quantizes)) {
  test(`${method} on a quantized base: what is saved evaluates as it did when it was trained, and a run goes on from there`, async () => {
    const { done, out } = await tuned(`quantized-${method}`, { ...ranked(method), quantize: 'nf4' })
    near(await lossOf([out], { quantize: 'nf4' }), done.evalLossAfter!)
    near((await tuned(`quantized-${method}-on`, { adapter: out, steps: 1 })).done.evalLossBefore!, done.evalLossAfter!)
  })
}

test('two runs of two steps, with the optimizer saved between them, are one run of four', async () => {
  const whole = await tuned('four', { rank: 4, steps: 4 })
  const first = await tuned('two', { rank: 4, saveOptimizer: true })
  const second = await tuned('two-more', { adapter: first.out })
  near(second.done.evalLossAfter!, whole.done.evalLossAfter!, 1e-6)
  // without the optimizer's state, the run takes another course
  const plain = await tuned('two-plain', { rank: 4 })
  const forgetful = await tuned('two-forgetful', { adapter: plain.out })
  assert.ok(Math.abs(forgetful.done.evalLossAfter! - whole.done.evalLossAfter!) > 1e-3)
})

test('two runs of an epoch each, with the optimizer saved between them, are one run of two epochs, each in its own order', async () => {
  const rows = (await goldenRows()).flatMap(({ input_ids }) =>
    [6, 8, 10].map(length => ({ input_ids: input_ids!.slice(0, length) })),
  )
  const run = {
    data: await writeRows(at('short.jsonl'), rows),
    shuffle: true,
    batch: 1,
    steps: undefined,
    saveOptimizer: true,
  }
  const whole = await tuned('epochs', { ...run, rank: 4, epochs: 2 })
  const first = await tuned('epoch', { ...run, rank: 4, epochs: 1 })
  const second = await tuned('epoch-more', { ...run, adapter: first.out, epochs: 1 })
  assert.deepEqual(await epochsOf(first.out, second.out, whole.out), [1, 2, 2])
  near(second.done.evalLossAfter!, whole.done.evalLossAfter!, 1e-6)
  // the first epoch's order a second time ends elsewhere
  const adapter = await orThrow(loadAdapter(first.out))
  await orThrow(saveAdapter(at('forgotten'), { ...adapter, settings: {} }))
  await cp(join(first.out, 'optimizer'), join(at('forgotten'), 'optimizer'), { recursive: true })
  const again = await tuned('epoch-again', { ...run, adapter: at('forgotten'), epochs: 1 })
  assert.ok(Math.abs(again.done.evalLossAfter! - whole.done.evalLossAfter!) > 1e-5)
  // the settings of an earlier version record the number of steps
  const { epochsBegun: _, ...earlier } = adapter.settings
  await orThrow(saveAdapter(at('earlier'), { ...adapter, settings: earlier }))
  assert.deepEqual(await epochsOf((await tuned('epoch-later', { ...run, adapter: at('earlier'), epochs: 1 })).out), [2])
})

type Paca = Adapter<'paca'>
const pacaIn = async (out: string): Promise<Paca> => {
  const adapter = await orThrow(loadAdapter(out))
  assert.ok(adapter.method === 'paca')
  return adapter
}
const isLazy = (leaf: unknown): leaf is { readonly read: () => Promise<Value<Shape>> } =>
  typeof leaf === 'object' && leaf !== null && 'read' in leaf
const weightsOf = async (weights: unknown): Promise<ReadonlyMap<string, Value<Shape>>> => {
  const all = new Map<string, Value<Shape>>()
  for (const [path, leaf] of leaves(weights, isLazy)) all.set(path, await leaf.read())
  return all
}

test('a selection by weight is of the columns with the largest norms; modules of one input share one if they are to', async () => {
  const [own, shared] = [
    await tuned('weight', { rank: 4, select: 'weight' }),
    await tuned('weight-shared', { rank: 4, select: 'weight', shareColumns: true }),
  ]
  const { weights, checkpoint } = await orThrow(load(tiny, 'text'))
  const base = await weightsOf(weights)
  await checkpoint.close()
  for (const [path, { columns }] of (await pacaIn(own.out)).modules) {
    const {
      data: weight,
      sizes: [width = 0],
    } = base.get(path)!
    assert.deepEqual(columns.data, selectByWeight(weight, width, 4), path)
  }
  const together = (await pacaIn(shared.out)).modules
  const columnsOf = (name: string): Int32Array => together.get(`model.layers.1.self_attn.${name}`)!.columns.data
  for (const name of ['k_proj', 'v_proj']) assert.deepEqual(columnsOf(name), columnsOf('q_proj'))
  assert.notDeepEqual(columnsOf('o_proj'), columnsOf('q_proj'))
})

test('a selection by gradient does not depend on the seed, learns nothing, and says how long it took', async () => {
  const by = { rank: 4, select: 'gradient', selectSteps: 2 } as const
  const [one, two] = [await tuned('gradient-1', { ...by, seed: 1 }), await tuned('gradient-2', { ...by, seed: 2 })]
  assert.equal(one.done.evalLossBefore, two.done.evalLossBefore)
  assert.equal(one.events.filter(event => event.event === 'selected' && event.by === 'gradient').length, 1)
  const [first, second] = [await pacaIn(one.out), await pacaIn(two.out)]
  for (const [path, { columns }] of first.modules)
    assert.deepEqual(columns.data, second.modules.get(path)!.columns.data)
  assert.equal(first.select, 'gradient')
})

test('a new selection keeps what the old one has learned, and the adapter restores the first base bit for bit', async () => {
  const first = await tuned('select-1', { rank: 4, seed: 1, saveOptimizer: true })
  const second = await tuned('select-2', { adapter: first.out, select: 'random', seed: 2 })
  near(second.done.evalLossBefore!, first.done.evalLossAfter!)
  near(await lossOf([second.out]), second.done.evalLossAfter!)
  const [old, now] = [await pacaIn(first.out), await pacaIn(second.out)]
  const path = 'model.layers.0.mlp.up_proj'
  const both = new Set([...old.modules.get(path)!.columns.data, ...chooseColumns(2, path, 64, 4)])
  assert.deepEqual(
    [...now.modules.get(path)!.columns.data],
    [...both].sort((a, b) => a - b),
  )
  const { weights, checkpoint } = await orThrow(load(tiny, 'text'))
  try {
    const base = await weightsOf(weights)
    const restored = await weightsOf(withAdapter(withAdapter(weights, now), now, 'base'))
    for (const [at_, { data: values }] of base) assert.deepEqual(restored.get(at_)!.data, values, at_)
  } finally {
    await checkpoint.close()
  }
})

/** Runs that continue from an adapter that PEFT saved: its own recipe, ten steps. */
const recipe: Partial<FinetuneOptions> = { steps: 10, lr: 5e-3, schedule: 'cosine', warmup: 2 }
const curves = JSON.parse(readFileSync(golden('losses.json'), 'utf8')) as Readonly<
  Record<'lora' | 'dora' | 'vera' | 'ia3', readonly number[]>
>
for (const method of ['lora', 'dora', 'vera', 'ia3'] as const)
  for (const target of ['reference', 'wasm'] as const) {
    test(`a run that goes on from PEFT's ${method} has PEFT's ten-step curve, on ${target}`, async () => {
      const { events, done } = await tuned(`peft-${method}-${target}`, { ...recipe, adapter: golden(method), target })
      const losses = [...events.flatMap(event => (event.event === 'step' ? [event.loss] : [])), done.evalLossAfter!]
      assert.equal(losses.length, 11)
      losses.forEach((loss, i) => near(loss, curves[method][i]!, 1e-3))
    })
  }

for (const method of here) {
  test(`${method}: what is merged, and what PEFT is given if it has a form for it, evaluates as the adapter does`, async () => {
    const { lora, peft } = recordOf(method)
    const isForPeft = 'factors' in lora || (peft !== undefined && 'fields' in peft)
    const loss = await lossOf([at(method)])
    await exportAdapter({ model: tiny, adapter: [at(method)], as: 'merged', out: at(`merged-${method}`) })
    near(await lossOf([], { model: at(`merged-${method}`) }), loss)
    const written = exportAdapter({ model: tiny, adapter: [at(method)], as: 'peft-lora', out: at(`as-peft-${method}`) })
    if (!isForPeft) {
      await assert.rejects(written, /export it merged$/)
      return
    }
    await written
    near(await lossOf([at(`as-peft-${method}`)]), loss)
  })
}

test("adapters are exported merged, as LoRA for PEFT and as Partensor's own, and evaluate alike; several are added up with their weights", async () => {
  const [a, b] = [await tuned('export-a', { rank: 4 }), await tuned('export-b', { method: 'lora', rank: 2 })]
  const loss = await lossOf([a.out])
  const model = tiny
  await exportAdapter({ model, adapter: [a.out], as: 'merged', out: at('merged') })
  near(await lossOf([], { model: at('merged') }), loss)
  for (const as of ['peft-lora', 'partensor'] as const) {
    await exportAdapter({ model, adapter: [a.out], as, out: at(as) })
    near(await lossOf([at(as)]), loss)
  }
  const uses = [`${a.out}:0.5`, `${b.out}:-2`]
  const sum = await lossOf(uses)
  assert.ok(Math.abs(sum - loss) > 1e-3)
  for (const as of ['merged', 'peft-lora'] as const) {
    await exportAdapter({ model, adapter: uses, as, out: at(`sum-${as}`) })
    near(as === 'merged' ? await lossOf([], { model: at(`sum-${as}`) }) : await lossOf([at(`sum-${as}`)]), sum)
  }
})

test('what a method is asked beside its targets is kept, and what is trained whole is saved whole', async () => {
  const { out, done } = await tuned('asked', {
    method: 'lora',
    targetModules: ['q_proj', 'v_proj'],
    layers: [1],
    rank: 4,
    alpha: 16,
    rslora: true,
    dropout: 0.25,
    rankPattern: { v_proj: 2 },
    alphaPattern: { v_proj: 8 },
    modulesToSave: ['model.norm'],
  })
  const adapter = await orThrow(loadAdapter(out))
  assert.ok(adapter.method === 'lora')
  assert.deepEqual(
    [...adapter.modules].map(([path, { lora_A }]) => [path, lora_A.sizes]),
    [
      ['model.layers.1.self_attn.q_proj', [64, 4]],
      ['model.layers.1.self_attn.v_proj', [64, 2]],
    ],
  )
  assert.deepEqual(
    [...(adapter.whole ?? [])].map(([path, { sizes }]) => [path, sizes]),
    [['model.norm', [64]]],
  )
  const { alpha, rslora, dropout, rankPattern, alphaPattern, layersToTransform } = adapter
  assert.deepEqual(
    { alpha, rslora, dropout, rankPattern, alphaPattern, layersToTransform },
    {
      alpha: 16,
      rslora: true,
      dropout: 0.25,
      rankPattern: { v_proj: 2 },
      alphaPattern: { v_proj: 8 },
      layersToTransform: [1],
    },
  )
  near(await lossOf([out]), done.evalLossAfter!)
  near((await tuned('asked-on', { adapter: out, steps: 1 })).done.evalLossBefore!, done.evalLossAfter!)
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkBase, load, loadAdapter, type Adapter } from '../../src/io/index.ts'
import { parameterName } from '../../src/io/checkpoint/load.ts'
import { orThrow } from '../../src/text/index.ts'
import { llamaArchitecture, type CausalParams } from '../../src/model/index.ts'
import type { Shape, Value } from '../../src/tensor/index.ts'
import { finetune, type FinetuneOptions } from '../../src/program/index.ts'
import { withAdapter } from '../../src/train/adapted.ts'
import { leaves, type Lazy } from '../../src/tune/index.ts'
import { goldenRows, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())

const trained = async (name: string, method: Partial<FinetuneOptions>): Promise<Adapter> => {
  const out = join(directory, name)
  for await (const _ of finetune({
    model: tiny,
    data,
    method: 'paca',
    targetModules: llamaArchitecture.targets,
    seed: 3,
    steps: 2,
    batch: 2,
    accumulate: 1,
    shuffle: true,
    lr: 1e-2,
    schedule: 'constant',
    warmup: 0,
    weightDecay: 0.01,
    clip: 1,
    target: 'wasm',
    threads: 1,
    out,
    ...method,
  }));
  return orThrow(loadAdapter(out))
}
type Reader = { readonly read: () => Promise<Value<Shape>> }
const isReader = (leaf: unknown): leaf is Reader => typeof leaf === 'object' && leaf !== null && 'read' in leaf
const read = async (weights: Lazy<CausalParams>): Promise<ReadonlyMap<string, Float32Array>> => {
  const all = new Map<string, Float32Array>()
  for (const [path, leaf] of leaves(weights, isReader)) all.set(path, (await leaf.read()).data)
  return all
}
const bytesOf = (x: Float32Array): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
const differing = (a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): readonly string[] =>
  [...a].filter(([path, x]) => !bytesOf(x).equals(bytesOf(b.get(path)!))).map(([path]) => path)

test('a PaCA adapter changes its columns alone, and its own copy of the base restores them bit for bit', async () => {
  const adapter = await trained('paca', { rank: 5 })
  const { weights, checkpoint } = await orThrow(load(tiny, 'text'))
  try {
    await orThrow(checkBase(adapter, checkpoint))
    const base = await read(weights)
    const tuned = withAdapter(weights, adapter)
    const changed = await read(tuned)
    assert.deepEqual(
      differing(base, changed).map(path => path.slice(path.lastIndexOf('.') + 1)),
      [...llamaArchitecture.targets, ...llamaArchitecture.targets],
    )
    assert.ok(adapter.method === 'paca')
    for (const [path, { columns }] of adapter.modules) {
      const [out = 0] = checkpoint.tensors.get(parameterName(path))!.sizes
      const trainedColumns = new Set(columns.data)
      const before = base.get(path)!
      const entries = [...changed.get(path)!.entries()]
      const touched = new Set(entries.filter(([i, x]) => !Object.is(x, before[i])).map(([i]) => Math.floor(i / out)))
      assert.deepEqual(
        [...touched].filter(column => !trainedColumns.has(column)),
        [],
      )
      assert.equal(touched.size, 5)
    }
    assert.deepEqual(differing(base, await read(withAdapter(tuned, adapter, 'base'))), [])
  } finally {
    await checkpoint.close()
  }
})

test('full fine-tuning of all saves every parameter as files keep it', async () => {
  const adapter = await trained('full', { method: 'full', targetModules: ['all'] })
  const { weights, checkpoint } = await orThrow(load(tiny, 'text'))
  try {
    await orThrow(checkBase(adapter, checkpoint))
    assert.deepEqual([...adapter.modules.keys()].map(parameterName).sort(), [...checkpoint.tensors.keys()].sort())
    const base = await read(weights)
    const changed = await read(withAdapter(weights, adapter))
    for (const [path, x] of changed) {
      const moved = x.reduce((most, value, i) => Math.max(most, Math.abs(value - base.get(path)![i]!)), 0)
      assert.ok(moved > 0 && moved < 0.05, `${path} moved by ${moved}: expected two steps of 0.01`)
    }
  } finally {
    await checkpoint.close()
  }
})

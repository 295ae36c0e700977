import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSafetensors } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { evaluate, exportAdapter, type EvaluateOptions, type FinetuneOptions } from '../../src/program/index.ts'
import { writeRows } from '../support/command-line.ts'
import { at, tuned } from '../support/finetuned.ts'

/** Methods on a model that has biases: a tiny Qwen2, and what PyTorch makes of it. See make_qwen.py. */

const model = join(import.meta.dirname, '../golden/qwen/qwen2-tiny')
const { biases: curve, recipe } = JSON.parse(await readFile(join(model, 'losses.json'), 'utf8')) as {
  readonly biases: readonly number[]
  readonly recipe: { readonly steps: number }
}
const data = await (async () => {
  const archive = await orThrow(openSafetensors(join(model, 'reference.safetensors')))
  try {
    const rows = async (name: string): Promise<readonly (readonly number[])[]> => {
      const {
        sizes: [n = 0, length = 0],
        data: all,
      } = await archive.tensors.get(name)!.read()
      return Array.from({ length: n }, (_, i) => [...all.subarray(i * length, (i + 1) * length)])
    }
    const [ids, labels, mask] = [await rows('input_ids'), await rows('labels'), await rows('attention_mask')]
    const all = ids.map((input_ids, i) => ({ input_ids, labels: labels[i], attention_mask: mask[i] }))
    return await writeRows(at('qwen.jsonl'), all)
  } finally {
    await archive.close()
  }
})()
const run = (name: string, more: Partial<FinetuneOptions>) => tuned(name, { model, data, eval: data, ...more })
const lossOf = async (adapter: readonly string[], more: Partial<EvaluateOptions> = {}): Promise<number> =>
  (await evaluate({ model, data, batch: 2, target: 'wasm', threads: 1, adapter, ...more })).loss
const near = (a: number, b: number, tolerance = 2e-5): void =>
  assert.ok(Math.abs(a - b) < tolerance, `${a} is not ${b}`)

for (const [target, tolerance] of [
  ['reference', 1e-5],
  ['wasm', 1e-3],
] as const)
  test(`ten steps on the biases alone are PyTorch's, on ${target}`, async () => {
    const { events, done } = await run(`curve-${target}`, {
      method: 'biases',
      steps: recipe.steps,
      lr: 5e-3,
      schedule: 'cosine',
      warmup: 2,
      target,
    })
    const losses = [...events.flatMap(event => (event.event === 'step' ? [event.loss] : [])), done.evalLossAfter!]
    assert.equal(losses.length, curve.length)
    losses.forEach((loss, i) => near(loss, curve[i]!, tolerance))
    assert.equal(done.trainable, 2 * (32 + 16 + 16))
  })

test('biases are saved, gone on from, on a quantized base too, and merged; no LoRA says them', async () => {
  const { out, done } = await run('biases', { method: 'biases' })
  near(await lossOf([out]), done.evalLossAfter!)
  near((await run('biases-on', { adapter: out })).done.evalLossBefore!, done.evalLossAfter!)
  await exportAdapter({ model, adapter: [out], as: 'merged', out: at('merged-biases') })
  near(await lossOf([], { model: at('merged-biases') }), done.evalLossAfter!)
  await assert.rejects(
    exportAdapter({ model, adapter: [out], as: 'peft-lora', out: at('lora-biases') }),
    /biases are added, and nothing is multiplied by them, which no LoRA says: export it merged$/,
  )
  const packed = await run('packed-biases', { method: 'biases', quantize: 'nf4' })
  near(await lossOf([packed.out], { quantize: 'nf4' }), packed.done.evalLossAfter!)
})

test('IA³ of modules with biases scales the biases with the outputs: trained, merged, and as PEFT keeps it', async () => {
  const { out, done } = await run('ia3', { method: 'ia3' })
  near(await lossOf([out]), done.evalLossAfter!)
  await exportAdapter({ model, adapter: [out], as: 'merged', out: at('merged-ia3') })
  near(await lossOf([], { model: at('merged-ia3') }), done.evalLossAfter!)
  await exportAdapter({ model, adapter: [out], as: 'peft-lora', out: at('peft-ia3') })
  near(await lossOf([at('peft-ia3')]), done.evalLossAfter!)
})

test('biases that are trained beside IA³ are scaled too, merged and gone on from; PEFT has no such adapter', async () => {
  const { out, done } = await run('ia3-biases', { method: 'ia3', bias: 'all' })
  near(await lossOf([out]), done.evalLossAfter!)
  near((await run('ia3-biases-on', { adapter: out, steps: 1 })).done.evalLossBefore!, done.evalLossAfter!)
  await exportAdapter({ model, adapter: [out], as: 'merged', out: at('merged-ia3-biases') })
  near(await lossOf([], { model: at('merged-ia3-biases') }), done.evalLossAfter!)
  await assert.rejects(
    exportAdapter({ model, adapter: [out], as: 'peft-lora', out: at('peft-ia3-biases') }),
    /PEFT's \(IA\)³ has no bias: export it merged$/,
  )
})

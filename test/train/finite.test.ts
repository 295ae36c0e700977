import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { orThrow } from '../../src/text/index.ts'
import { evaluate, exportAdapter, finetune, type FinetuneOptions } from '../../src/program/index.ts'
import { loadAdapter } from '../../src/io/index.ts'
import { openModel } from '../../src/program/model.ts'
import { openFrozen } from '../../src/program/pretrained.ts'
import { inRange } from '../../src/train/finetune.ts'
import { generateTokens } from '../../src/train/generate.ts'
import { leaves } from '../../src/tune/index.ts'

/** Everything that ends as a result, a file or an answer is finite, or an error that names the number. */
const golden = join(import.meta.dirname, '../golden/checkpoints')
const cases: {
  readonly ids: readonly (readonly number[])[]
  readonly checkpoints: readonly { readonly name: string; readonly config: object }[]
} = JSON.parse(await readFile(join(golden, 'cases.json'), 'utf8'))
const directory = await mkdtemp(join(tmpdir(), 'partensor-finite-'))
const at = (name: string): string => join(directory, name)
after(() => rm(directory, { recursive: true }))
const data = at('rows.jsonl')
await writeFile(data, cases.ids.map(ids => `${JSON.stringify({ input_ids: ids, labels: ids })}\n`).join(''))

interface Header {
  readonly [name: string]: { readonly shape: readonly number[]; readonly data_offsets: readonly [number, number] }
}
/** Writes a number into a tensor of a safetensors file, float32, at a position of it. */
const put = async (path: string, tensor: string, index: number, x: number): Promise<void> => {
  const bytes = await readFile(path)
  const length = Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Header
  bytes.writeFloatLE(x, 8 + length + header[tensor]!.data_offsets[0] + 4 * index)
  await writeFile(path, bytes)
}
/** The tiny model with a number in one of its weights. */
const model = async (name: string, tensor = 'model.norm.weight', ...numbers: readonly number[]): Promise<string> => {
  await cp(join(golden, 'weights/untied.safetensors'), at(`${name}/model.safetensors`))
  await writeFile(
    at(`${name}/config.json`),
    JSON.stringify(cases.checkpoints.find(one => one.name === 'untied')!.config),
  )
  for (const [i, x] of numbers.entries()) await put(at(`${name}/model.safetensors`), tensor, i, x)
  return at(name)
}
const plain = await model('plain')
const q = 'model.layers.0.self_attn.q_proj'
const adapterWith = async (name: string, tensor: string, index: number, x: number): Promise<string> => {
  await cp(join(golden, 'adapters/lora-untied'), at(name), { recursive: true })
  await put(at(`${name}/adapter_model.safetensors`), tensor, index, x)
  return at(name)
}
const run = (options: Partial<FinetuneOptions>): FinetuneOptions => ({
  model: plain,
  data,
  seed: 3,
  steps: 1,
  batch: 2,
  accumulate: 1,
  shuffle: false,
  lr: 1e-3,
  schedule: 'constant',
  warmup: 0,
  weightDecay: 0,
  clip: 1,
  method: 'lora',
  rank: 2,
  target: 'reference',
  out: at('out'),
  ...options,
})
const trained = async (options: Partial<FinetuneOptions>): Promise<readonly object[]> => {
  const events: object[] = []
  for await (const event of finetune(run(options))) events.push(event)
  return events
}
const unwritten = async (name: string): Promise<void> =>
  assert.deepEqual(
    (await readdir(directory)).filter(entry => entry.includes(name)),
    [],
  )

test('a weight that is not finite is an error of every command that reads it', async () => {
  const broken = await model('nan', 'model.norm.weight', 1, NaN)
  const sentence = /model\.safetensors: tensor model\.norm\.weight: it holds NaN at \[1\]: expected a finite number$/
  await assert.rejects(evaluate({ model: broken, data, batch: 2, target: 'reference' }), sentence)
  await assert.rejects(openFrozen(await orThrow(openModel(broken)), { target: 'reference' }), sentence)
  await assert.rejects(trained({ model: broken }), sentence)
  await assert.rejects(
    exportAdapter({ model: broken, adapter: [join(golden, 'adapters/lora-untied')], as: 'merged', out: at('out') }),
    sentence,
  )
  await unwritten('out')
})

test('numbers that overflow on their way are an error: the loss of which rows, the logits of which token', async () => {
  const huge = await model('huge', 'lm_head.weight', ...Array<number>(768).fill(3e38))
  await assert.rejects(
    evaluate({ model: huge, data, batch: 1, target: 'wasm', threads: 1 }),
    /the loss of rows 1 to 1 is NaN: the numbers of the model are too large for its precision$/,
  )
  await using session = await openFrozen(await orThrow(openModel(huge)), { target: 'wasm', threads: 1 })
  using decoder = session.decoder({ batch: 1, capacity: 32 })
  await assert.rejects(async () => {
    for await (const _ of generateTokens(decoder, [1, 2], { maxTokens: 4, stop: new Set() }));
  }, /the logits of token 1 are not all finite: the numbers of the model are too large for its precision$/)
})

test('an adapter that is not finite is an error, and so is a finite one whose product is not', async () => {
  const A = `base_model.model.${q}.lora_A.weight`
  const broken = await adapterWith('adapter-nan', A, 17, NaN)
  await assert.rejects(
    evaluate({ model: plain, adapter: [broken], data, batch: 2, target: 'reference' }),
    /adapter_model\.safetensors: tensor base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight: it holds NaN at \[1, 1\]: expected/,
  )
  const large = await adapterWith('adapter-large', A, 0, 3e38)
  const sentence =
    /model\.layers\.0\.self_attn\.q_proj with the adapters merged into it: it holds -?Infinity at \[0, \d+\]: expected/
  await cp(large, at('adapter-larger'), { recursive: true })
  await put(at('adapter-larger/adapter_model.safetensors'), A.replace('_A', '_B'), 0, 30)
  await assert.rejects(
    evaluate({ model: plain, adapter: [at('adapter-larger')], data, batch: 2, target: 'reference' }),
    sentence,
  )
  await assert.rejects(
    exportAdapter({ model: plain, adapter: [at('adapter-larger')], as: 'merged', out: at('out') }),
    sentence,
  )
  await assert.rejects(
    exportAdapter({ model: plain, adapter: [`${large}:1e300`], as: 'partensor', out: at('out') }),
    /tensor lora_A\.model\.layers\.\S+: it holds -?Infinity at \[0, 0\]: expected/,
  )
  await unwritten('out')
})

test('a run whose numbers leave the finite ones ends with the step and with what is saved', async () => {
  const huge = await model('huge at once', 'lm_head.weight', ...Array<number>(768).fill(3e38))
  await assert.rejects(
    trained({ model: huge, target: 'wasm', threads: 1 }),
    /^StepFailed: step 1: the loss is NaN: nothing was updated; nothing is saved$/,
  )
  await unwritten('out')
  await assert.rejects(
    trained({ lr: 1e308, method: 'paca', steps: 2, target: 'wasm', threads: 1 }),
    /^StepFailed: step 2: the loss is NaN: nothing was updated; the adapter cannot be saved: .*tensor values\.\S+: it holds (-?Infinity|NaN) at/,
  )
  await unwritten('out')
  await assert.rejects(
    trained({ lr: 1e30, steps: 3, target: 'wasm', threads: 1, out: at('before') }),
    ({ message }: Error) => {
      assert.match(
        message,
        /^step 2: the (loss|norm of the gradient) is (NaN|-?Infinity): nothing was updated; the adapter is saved in /,
      )
      return message.endsWith(at('before'))
    },
  )
  // every number of it is finite, or it would not load
  await orThrow(loadAdapter(at('before')))
})

test('a step that leaves the numbers saves nothing, with moments or without', async () => {
  for (const target of ['reference', 'wasm'] as const) {
    for (const saveOptimizer of [false, true]) {
      await assert.rejects(
        trained({ target, lr: 1e308, saveOptimizer, method: 'paca', ...(target === 'wasm' ? { threads: 1 } : {}) }),
        /tensor values\.model\.layers\.\d\.\S+: it holds (-?Infinity|NaN) at \[\d+, \d+\]: expected a finite number$/,
      )
    }
  }
  await unwritten('out')
})

test('a cast that overflows is an error that names tensor and number, where 16 bits are written and where they are computed with', async () => {
  const large = await model('large', `${q}.weight`, 1, 70000, -2)
  const adapter = [join(golden, 'adapters/lora-untied')]
  for (const path of ['model.norm.weight', `${q}.weight`] as const) {
    const of = await model(`large ${path}`, path, 1, 70000)
    await assert.rejects(
      exportAdapter({ model: of, adapter, as: 'merged', dtype: 'f16', out: at('out') }),
      new RegExp(
        `tensor ${path.replaceAll('.', '\\.')}: it holds (70000|[67]\\d{4}\\.?\\d*) at \\[(0, )?1\\], and float16 ends at 65504$`,
      ),
    )
    await exportAdapter({ model: of, adapter, as: 'merged', dtype: 'bf16', out: at(`bf16 ${path}`) })
  }
  await unwritten('out')
  const { weights, checkpoint } = await orThrow(openModel(large))
  const isLazy = (leaf: unknown): leaf is { readonly read: () => Promise<unknown> } =>
    typeof leaf === 'object' && leaf !== null && 'read' in leaf
  const read = async (precision: 'f16' | 'bf16' | 'f32'): Promise<void> => {
    for (const [, leaf] of leaves(inRange(weights, precision), isLazy)) await leaf.read()
  }
  await assert.rejects(
    read('f16'),
    /weight model\.layers\.0\.self_attn\.q_proj: it holds 70000 at \[1, 0\], and float16 ends at 65504$/,
  )
  await read('bf16')
  await read('f32')
  await checkpoint.close()
})

test('moments that are not finite or cannot be read end a run before it begins; those that do not fit are told', async () => {
  const first = at('first')
  const file = join(first, 'optimizer/moments.safetensors')
  const started = (out: string) => trained({ adapter: first, method: undefined, rank: undefined, out: at(out) })
  await trained({ out: first, method: 'paca', saveOptimizer: true })
  assert.deepEqual(
    (await started('second')).filter(event => 'message' in event),
    [],
  )
  const good = await readFile(file)
  const length = Number(good.readBigUInt64LE())
  const header = JSON.parse(good.toString('utf8', 8, 8 + length)) as Header
  const name = Object.keys(header).find(key => key.startsWith('mu.'))!
  await put(file, name, 0, NaN)
  await assert.rejects(
    started('third'),
    new RegExp(`optimizer/moments\\.safetensors: tensor ${name.replaceAll('.', '\\.')}: it holds NaN at \\[0, 0\\]`),
  )
  // another name of the same length
  await writeFile(
    file,
    Buffer.from(
      good.toString('latin1').replace(name, name.replace('q_proj', 'x_proj').replace('down_proj', 'doxn_proj')),
      'latin1',
    ),
  )
  const told = (await started('fourth')).flatMap(event => ('message' in event ? [String(event.message)] : []))
  assert.match(
    told.join('\n'),
    /first: 2 of the optimizer's moments do not go on, mu\.model\.layers\S+ first: those begin at zero$/,
  )
  await writeFile(file, good.subarray(0, 20))
  await assert.rejects(started('fifth'), /moments\.safetensors: the header claims/)
  await rm(file)
  await assert.rejects(started('sixth'), /optimizer: it holds no moments\.safetensors$/)
  for (const out of ['third', 'fifth', 'sixth']) await unwritten(out)
})

test('a loss whose perplexity no number holds is told without it', async () => {
  const steep = await model(
    'steep',
    'lm_head.weight',
    ...Array.from({ length: 768 }, (_, i) => (i % 32 < 16 ? 3e4 : -3e4)),
  )
  const result = await evaluate({ model: steep, data, batch: 2, target: 'reference' })
  assert.ok(result.loss > 710 && Number.isFinite(result.loss) && !('perplexity' in result))
  assert.ok(!JSON.stringify(result).includes('null'))
})

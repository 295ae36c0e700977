import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  adamw,
  adapt,
  add,
  capacityFor,
  chain,
  clipByGlobalNorm,
  compile,
  full,
  orThrow,
  paca,
  trainStep,
  type Method,
  type Opaque,
  type Shape,
  type Value,
  type Values,
} from '../../src/index.ts'
import { finetune } from '../../src/program/finetune.ts'
import { generateTokens } from '../../src/train/generate.ts'
import { identity, isLazyLeaf, isValue, leaves, mapTree, tensorsOf } from '../../src/compiler.ts'
import { openSafetensors, type Loaded } from '../../src/io.ts'
import type { CausalBatch } from '../../src/model.ts'
import { loadAdapter } from '../../src/io/index.ts'
import { load } from '../../src/io/checkpoint/load.ts'
import { warmupCosine } from '../../src/tune/index.ts'
import { noNode } from '../support/native-library.ts'
import { temporary, writeRows } from '../support/command-line.ts'

/**
 * Tiny models of other architectures than LLaMA, and the results of transformers and PEFT for them; make_qwen.py makes
 * them.
 */
const golden = join(import.meta.dirname, '../golden/qwen')
const models = ['qwen2-tiny', 'qwen3-tiny'] as const
const scratch = await temporary()
after(() => rm(scratch, { recursive: true, force: true }))

interface Numbers {
  readonly sizes: readonly number[]
  readonly data: ArrayLike<number>
}
interface Curves {
  readonly 'recipe': { readonly steps: number; readonly rank: number; readonly targets: readonly string[] }
  readonly 'full': readonly number[]
  readonly 'paca': readonly number[]
  readonly 'lora': readonly number[]
  readonly 'lora-biases': readonly number[]
}
interface Golden {
  readonly loaded: Loaded<'text'>
  readonly tensors: ReadonlyMap<string, Numbers>
  readonly columns: ReadonlyMap<string, Int32Array>
  readonly curves: Curves
  readonly batch: Values<CausalBatch>
}

const read = async (file: string): Promise<ReadonlyMap<string, Numbers>> => {
  const archive = await orThrow(openSafetensors(file))
  try {
    return new Map(
      await Promise.all([...archive.tensors].map(async ([name, entry]) => [name, await entry.read()] as const)),
    )
  } finally {
    await archive.close()
  }
}
const integers = ({ sizes, data }: Numbers): Value<readonly ['batch', 'seq'], 'i32'> => ({
  shape: ['batch', 'seq'],
  sizes,
  dtype: 'i32',
  data: Int32Array.from(data),
})
const open = async (name: string): Promise<Golden> => {
  const at = (file: string): string => join(golden, name, file)
  const tensors = await read(at('reference.safetensors'))
  const columns = [...(await read(at('paca.safetensors')))].map(
    ([key, { data }]) => [key.replace('columns.', ''), Int32Array.from(data)] as const,
  )
  return {
    loaded: await orThrow(load(at('.'), 'text')),
    tensors,
    columns: new Map(columns),
    curves: JSON.parse(await readFile(at('losses.json'), 'utf8')) as Curves,
    batch: { input_ids: integers(tensors.get('input_ids')!), labels: integers(tensors.get('labels')!) },
  }
}

const opened = new Map<string, Golden>()
before(async () => {
  for (const name of models) opened.set(name, await open(name))
})
after(async () => {
  for (const { loaded } of opened.values()) await loaded.checkpoint.close()
})

const close = (what: string, found: ArrayLike<number>, due: ArrayLike<number>, tolerance: number): void => {
  assert.equal(found.length, due.length, what)
  const off = Array.from(due).reduce((most, x, i) => Math.max(most, Math.abs(x - found[i]!)), 0)
  assert.ok(off <= tolerance, `${what} is off by ${off}`)
}
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'
const turned = ({ sizes: [rows = 1, columns = 1], data }: Numbers): readonly number[] =>
  Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!)

/** The step of the recipe: the rate of update k is that of a cosine with two warm-up steps at k + 1. */
const stepOf = ({ loaded: { model }, curves: { recipe } }: Golden, method: Method<Opaque>) => {
  const rate = warmupCosine({ peak: 5e-3, warmup: 2, total: recipe.steps })
  const transform = chain(clipByGlobalNorm(1), adamw({ lr: count => rate(add(count, 1)), weightDecay: 0.01 }))
  return trainStep(adapt(model, method), transform)
}
const everything = ({ loaded: { model } }: Golden): Method<Opaque> =>
  full({ targets: tensorsOf(model.params).map(([path]) => path) as readonly string[] })

const targets = [
  ['reference', 1e-5],
  ['wasm', 1e-3],
  ['graph', 1e-3],
] as const
for (const name of models)
  for (const [target, tolerance] of targets) {
    const skip = target === 'graph' && noNode !== undefined ? noNode : false

    test(
      `${name}: logits, loss, all gradients, the greedy text and ten steps on all weights are PyTorch's, on ${target}`,
      {
        skip,
      },
      async () => {
        const model = opened.get(name)!
        const { loaded, tensors, batch, curves } = model
        const { architecture } = loaded.checkpoint
        await using session = await compile(stepOf(model, everything(model)), {
          target,
          threads: 1,
          weights: loaded.weights,
        })

        // PyTorch's values at the padding depend on its mask
        const mask = tensors.get('attention_mask')!.data
        const due = tensors.get('logits')!
        const vocab = due.sizes[2]!
        const seen = (x: ArrayLike<number>) => Array.from(x, (v, i) => (mask[Math.floor(i / vocab)] === 1 ? v : 0))
        close('the logits', seen((await session.predict(batch)).logits.data), seen(due.data), tolerance)
        const { sum, count } = await session.evaluate(batch)
        close('the loss', [sum / count], tensors.get('loss')!.data, tolerance)

        const found = new Map(leaves(await session.gradients(batch), isFloats))
        assert.equal(found.size, [...tensors.keys()].filter(key => key.startsWith('grad.')).length)
        for (const [path, { data }] of found) {
          const stored = architecture.stored(path)
          const gradient = tensors.get(`grad.${stored.name}`)!
          close(
            `the gradient of ${path}`,
            data,
            stored.layout === 'linear' ? turned(gradient) : gradient.data,
            tolerance,
          )
        }

        const text = Array.from(tensors.get('greedy')!.data)
        const prompt = text.slice(0, 5)
        const maxTokens = text.length - prompt.length
        using decoder = session.decoder({ batch: 1, capacity: capacityFor(prompt.length, maxTokens) })
        const made: number[] = []
        for await (const id of generateTokens(decoder, prompt, { maxTokens, stop: new Set<number>() })) made.push(id)
        assert.deepEqual([...prompt, ...made], text)

        await curve(session, model, curves.full, tolerance)
      },
    )

    test(`${name}: ten steps of PaCA are PyTorch's, on ${target}`, { skip }, async () => {
      const model = opened.get(name)!
      const { loaded, columns, curves } = model
      const { rank, targets: modules } = curves.recipe
      assert.deepEqual(modules, loaded.checkpoint.architecture.targets)
      const method = paca({ targets: modules, rank, seed: 0, selection: columns })
      await using session = await compile(stepOf(model, method), { target, threads: 1, weights: loaded.weights })
      await curve(session, model, curves.paca, tolerance)
    })

    for (const folder of name === 'qwen2-tiny' ? (['lora', 'lora-biases'] as const) : (['lora'] as const))
      test(
        `${name}: a run that goes on from PEFT's ${folder} has PEFT's ten-step curve, on ${target}`,
        { skip },
        async () => {
          const { curves } = opened.get(name)!
          const data = await rowsOf(opened.get(name)!, `${name}-${folder}-${target}`)
          const losses: number[] = []
          for await (const event of finetune({
            model: join(golden, name),
            adapter: join(golden, name, folder),
            data,
            eval: data,
            seed: 0,
            steps: curves.recipe.steps,
            batch: 2,
            accumulate: 1,
            shuffle: false,
            lr: 5e-3,
            schedule: 'cosine',
            warmup: 2,
            weightDecay: 0.01,
            clip: 1,
            target,
            threads: 1,
            out: join(scratch, `${name}-${folder}-${target}`),
          })) {
            if (event.event === 'step') losses.push(event.loss)
            if (event.event === 'done') losses.push(event.evalLossAfter!)
          }
          close('the curve', losses, curves[folder], tolerance)
        },
      )
  }

for (const [name, part] of [
  ['qwen2-tiny', /self_attn\..*\.bias$/],
  ['qwen3-tiny', /self_attn\..*_norm$/],
] as const)
  test(`${name}: without what a LLaMA does not have the loss is another (mutant)`, async () => {
    const { loaded, batch, tensors } = opened.get(name)!
    // biases are zero, and gains are one
    const neutral = (path: string): number => (path.endsWith('.bias') ? 0 : 1)
    let changed = 0
    const weights = mapTree(loaded.weights, isLazyLeaf, (leaf, path) => {
      if (!part.test(path)) return leaf
      changed += 1
      return {
        read: async () => {
          const value = 'read' in leaf ? await leaf.read() : leaf
          return { ...value, data: Float32Array.from(value.data, () => neutral(path)) }
        },
      }
    }) as typeof loaded.weights
    const nothing = trainStep(adapt(loaded.model, full({ targets: [] as readonly string[] })), identity)
    await using session = await compile(nothing, { target: 'reference', weights })
    const { sum, count } = await session.evaluate(batch)
    assert.ok(changed > 0 && Math.abs(sum / count - tensors.get('loss')!.data[0]!) > 1e-4)
  })

/** The golden batch as a data set. */
const rowsOf = async ({ batch }: Golden, name: string): Promise<string> => {
  const [rows = 0, length = 0] = batch.input_ids.sizes
  const row = (data: Int32Array, i: number): number[] => [...data.subarray(i * length, (i + 1) * length)]
  return writeRows(
    join(scratch, `${name}.jsonl`),
    Array.from({ length: rows }, (_, i) => ({
      input_ids: row(batch.input_ids.data, i),
      labels: row(batch.labels.data, i),
    })),
  )
}

for (const [bias, trained] of [
  ['lora_only', ['q_proj']],
  ['all', ['q_proj', 'k_proj', 'v_proj']],
] as const)
  test(`--bias ${bias} trains the biases of ${trained.join(', ')} beside an adapter, and saves them with it`, async () => {
    const { loaded } = opened.get('qwen2-tiny')!
    const out = join(scratch, `bias-${bias}`)
    const method = { method: 'lora', targetModules: ['q_proj', 'down_proj'], rank: 2, bias } as const
    const data = await rowsOf(opened.get('qwen2-tiny')!, `bias-${bias}`)
    for await (const _ of finetune({
      ...plain,
      ...method,
      model: join(golden, 'qwen2-tiny'),
      data,
      target: 'wasm',
      out,
    }));
    const { whole } = await orThrow(loadAdapter(out))
    assert.deepEqual(
      [...whole!.keys()].sort(),
      [0, 1].flatMap(i => trained.map(name => `model.layers.${i}.self_attn.${name}.bias`)).sort(),
    )
    for (const [path, { data: now }] of whole!) {
      const before = await orThrow(loaded.checkpoint.tensors.get(path)!.readF32())
      assert.ok(
        now.some((x, i) => x !== before[i]),
        `${path} has learned`,
      )
    }
  })

test('--bias trains nothing more of a model that has no biases', async () => {
  const out = join(scratch, 'no-bias')
  const data = await rowsOf(opened.get('qwen3-tiny')!, 'no-bias')
  for await (const _ of finetune({
    ...plain,
    bias: 'all',
    model: join(golden, 'qwen3-tiny'),
    data,
    target: 'wasm',
    out,
  }));
  assert.equal((await orThrow(loadAdapter(out))).whole, undefined)
})

/** The options of a run in addition to its model, data and target. */
const plain = {
  seed: 0,
  steps: 1,
  batch: 1,
  accumulate: 1,
  shuffle: false,
  lr: 1e-3,
  schedule: 'constant',
  warmup: 0,
  weightDecay: 0,
  clip: 1,
  threads: 1,
} as const

interface Steps {
  step(batches: readonly Values<CausalBatch>[]): Promise<{ readonly loss: number }>
  evaluate(batch: Values<CausalBatch>): Promise<{ readonly sum: number; readonly count: number }>
}
/** Ten steps on the golden batch, and the loss after them. */
const curve = async (session: Steps, { batch, curves }: Golden, due: readonly number[], tolerance: number) => {
  const losses: number[] = []
  for (let i = 0; i < curves.recipe.steps; i++) losses.push((await session.step([batch])).loss)
  const { sum, count } = await session.evaluate(batch)
  close('the curve', [...losses, sum / count], due, tolerance)
}

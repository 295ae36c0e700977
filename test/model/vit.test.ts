import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { compile, orThrow, type TargetName } from '../../src/index.ts'
import { count } from '../../src/tensor/index.ts'
import { isValue, leaves, mapTree } from '../../src/compiler.ts'
import { parameterCounts, tuneClassifier, type MethodChoice } from '../../src/model.ts'
import {
  fromStorage,
  imageArchitectures,
  parameterSizes,
  parseConfig,
  storedLeaf,
  storedSizes,
} from '../../src/model/index.ts'
import { openCheckpoint } from '../../src/io/index.ts'
import { load } from '../../src/io/checkpoint/load.ts'
import { safetensorsBytes } from '../../src/io.ts'
import { inDirectory, message } from '../support/archives.ts'
import { noNode } from '../support/native-library.ts'
import { farthest, goldenViT, isFloats, openViT, readTensors } from '../support/images.ts'

const vit = imageArchitectures.find(({ name }) => name === 'vit')!
const golden = JSON.parse(await readFile(join(goldenViT, 'config.json'), 'utf8')) as Readonly<Record<string, unknown>>

/** The config of ViT-B/16, whose fields are the defaults of transformers. */
const base = { model_type: 'vit', num_labels: 1000 }
const configOf = (json: Readonly<Record<string, unknown>>) => {
  const config = vit.config(json, 'config.json')
  if (E.isLeft(config)) assert.fail(config.left.message)
  return config.right
}

let opened: Awaited<ReturnType<typeof openViT>>
before(async () => {
  opened = await openViT()
})
after(() => opened.loaded.checkpoint.close())

const targets: readonly (readonly [TargetName, tolerance: number, needsLibrary: boolean])[] = [
  ['reference', 1e-5, false],
  ['cpu', 1e-4, false],
  ['wasm', 1e-4, false],
  ['node', 1e-4, true],
  ['graph', 1e-4, true],
]
for (const [target, tolerance, needsLibrary] of targets)
  test(
    `ViT: logits, loss and all gradients are PyTorch's, on ${target}`,
    { skip: needsLibrary && noNode !== undefined ? noNode : false },
    async () => {
      const { loaded, tensors, batch, step } = opened
      await using session = await compile(step, { target, threads: 1, weights: loaded.weights })
      const close = (what: string, found: ArrayLike<number>, due: ArrayLike<number>): void =>
        assert.ok(farthest(found, due) <= tolerance, `${what} is off by ${farthest(found, due)}`)
      close('logits', (await session.predict(batch)).logits.data, tensors.get('logits')!.data)
      close('the loss', [(await session.evaluate(batch)).loss], tensors.get('loss')!.data)
      const found = leaves(await session.gradients(batch), isFloats)
      assert.equal(found.length, [...tensors.keys()].filter(key => key.startsWith('grad.')).length)
      for (const [path, { data }] of found) {
        const due = fromStorage(storedLeaf(path).layout, tensors.get(`grad.${path}`)!)
        close(`the gradient of ${path}`, data, due.data)
      }
    },
  )

test('ViT: without its positions the logits are others (mutant)', async () => {
  const { loaded, tensors, batch, step } = opened
  const weights = mapTree(
    loaded.weights,
    (leaf): leaf is { read: () => Promise<unknown> } => isReader(leaf),
    (leaf, path) =>
      path.endsWith('position_embeddings')
        ? {
            read: async () => {
              const value = await leaf.read()
              assert.ok(isValue(value))
              return { ...value, data: new Float32Array(value.data.length) }
            },
          }
        : leaf,
  ) as typeof loaded.weights
  await using session = await compile(step, { target: 'reference', weights })
  assert.ok(farthest((await session.predict(batch)).logits.data, tensors.get('logits')!.data) > 1e-3)
})
const isReader = (leaf: unknown): boolean => typeof leaf === 'object' && leaf !== null && 'read' in leaf

test('ViT-B/16 has 86,567,656 parameters', () => {
  const sizes = parameterSizes(vit.model(configOf(base)))
  assert.equal(
    sizes.reduce((n, [, own]) => n + count(own), 0),
    86_567_656,
  )
})

for (const qkv_bias of [true, false])
  test(`ViT: queries, keys and values ${qkv_bias ? 'have' : 'lack'} biases if qkv_bias is ${qkv_bias}`, () => {
    const config = configOf({ ...golden, qkv_bias })
    const paths = parameterSizes(vit.model(config)).map(([path]) => path)
    assert.equal(paths.filter(path => /[qkv]_proj\.bias$/.test(path)).length, qkv_bias ? 6 : 0)
    assert.deepEqual(configOf({ ...vit.json(config) }), config)
  })

const counts: readonly (readonly [string, MethodChoice, number])[] = [
  ['PaCA of rank 16', { method: 'paca', rank: 16, seed: 0 }, 2_096_104],
  ['LoRA of rank 16', { method: 'lora', rank: 16, seed: 0 }, 3_423_208],
  ['full fine-tuning', { method: 'full', seed: 0 }, 86_567_656],
]
for (const [what, choice, due] of counts)
  test(`ViT-B/16: ${what} trains ${due} parameters, those of PyTorch and PEFT`, () => {
    const config = configOf(base)
    const model = vit.model(config)
    const entries = parameterSizes(model).map(([path, sizes]) => {
      const { name, layout } = vit.stored(path)
      return [
        name,
        { ...opened.loaded.checkpoint.tensors.get('classifier.bias')!, sizes: storedSizes(layout, sizes) },
      ] as const
    })
    const checkpoint = { ...opened.loaded.checkpoint, config, tensors: new Map(entries) }
    const made = tuneClassifier({ ...opened.loaded, model, checkpoint }, choice)
    if (E.isLeft(made)) assert.fail(made.left.message)
    const { trainable, all } = parameterCounts(made.right.tuned, checkpoint, made.right.targets.modules)
    assert.deepEqual([trainable, all], [due, 86_567_656])
  })

/** The same file with other names. */
const renamed = async (directory: string, name: (old: string) => string): Promise<void> => {
  await cp(goldenViT, directory, { recursive: true })
  const tensors = await readTensors(join(goldenViT, 'model.safetensors'))
  const leavesOf = [...tensors].map(([old, { sizes, data }]) => ({
    name: name(old),
    dtype: 'f32' as const,
    sizes,
    read: async () => ({ shape: sizes, sizes, dtype: 'f32' as const, data }),
  }))
  const chunks: Uint8Array[] = []
  for await (const chunk of safetensorsBytes(leavesOf, {})) chunks.push(chunk)
  await writeFile(join(directory, 'model.safetensors'), Buffer.concat(chunks))
}
/** The names that the modules of transformers 5 have. */
const newNames: readonly (readonly [string, string])[] = [
  ['vit.encoder.layer.', 'vit.layers.'],
  ['attention.attention.query', 'attention.q_proj'],
  ['attention.attention.key', 'attention.k_proj'],
  ['attention.attention.value', 'attention.v_proj'],
  ['attention.output.dense', 'attention.o_proj'],
  ['intermediate.dense', 'mlp.fc1'],
  ['output.dense', 'mlp.fc2'],
]
const newName = (old: string): string => newNames.reduce((name, [from, to]) => name.replace(from, to), old)

test('ViT: a file with the names of transformers 5 is the same model, and one with half a name is refused', () =>
  inDirectory(async directory => {
    const other = join(directory, 'new')
    await renamed(other, newName)
    const again = await orThrow(openCheckpoint(other))
    const { checkpoint } = opened.loaded
    assert.deepEqual([...again.tensors.keys()], [...checkpoint.tensors.keys()])
    for (const [name, entry] of again.tensors)
      assert.deepEqual(await orThrow(entry.readF32()), await orThrow(checkpoint.tensors.get(name)!.readF32()), name)
    await again.close()
    const half = join(directory, 'half')
    await renamed(half, old => old.replace('vit.encoder.layer.0.', 'vit.encoder.layers.0.'))
    assert.match(await message(openCheckpoint(half)), /tensors vit\.encoder\.layer\.0\.\S+, .* and 8 more are missing$/)
  }))

test('ViT: what a config asks for and is not computed is refused by the name of its field', () => {
  const said = (changes: Readonly<Record<string, unknown>>): string => {
    const parsed = parseConfig({ ...golden, ...changes }, 'config.json')
    return E.isLeft(parsed) ? parsed.left.message : 'accepted'
  }
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ hidden_act: 'gelu_new' }, /^config\.json: hidden_act is "gelu_new": expected "gelu"$/],
    [{ hidden_dropout_prob: 0.1 }, /hidden_dropout_prob is 0\.1: expected 0$/],
    [{ problem_type: 'regression' }, /problem_type is "regression": expected "single_label_classification"$/],
    [
      { architectures: ['ViTForMaskedImageModeling'] },
      /architectures is .*: expected \["ViTForImageClassification"\]$/,
    ],
    [{ patch_size: 7 }, /image_size is 32: expected a multiple of patch_size \(7\)$/],
    [{ image_size: [32, 48] }, /image_size is \[32,48\]: expected one number, or the same number twice$/],
    [{ num_attention_heads: 5 }, /num_attention_heads is 5: expected a divisor of hidden_size \(48\)$/],
    [{ id2label: { 0: 'a', 2: 'b' } }, /id2label is .*: expected an object with the names of the classes 0, 1, 2, …$/],
    [{ num_labels: 3 }, /num_labels is 3: expected 10, as id2label says,$/],
    [{ model_type: 'swin' }, /model_type is "swin"; only "llama", "qwen2", "qwen3".* are supported$/],
    [{ image_size: [32, 32], patch_size: [8, 8] }, /^accepted$/],
  ]
  for (const [changes, due] of cases) assert.match(said(changes), due)
})

test('a model of another task is refused in words', async () => {
  assert.match(
    await message(load(goldenViT, 'text')),
    /vit-tiny: a vit classifies images: expected a model that continues texts$/,
  )
})

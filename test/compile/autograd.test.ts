import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { accountant, type Account, type AccountOptions } from '../../src/compile/index.ts'
import { described, parameterSizes, parseConfig } from '../../src/model/index.ts'
import type { Model } from '../../src/tensor/index.ts'
import { orThrow, type Json } from '../../src/text/index.ts'
import { adapt, moduleOf, recordOf, type Method, type MethodName, type Opaque } from '../../src/tune/index.ts'

/** Counts made with PyTorch, by the script beside them. */
interface Count {
  readonly model: 'llama' | 'vit' | 'efficientnet'
  readonly method: MethodName
  readonly dropout: number
  readonly precision: 'f32' | 'bf16' | 'amp'
  readonly checkpointing: boolean
  readonly saved: number
}
const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL('../golden/autograd/counts.json', import.meta.url)), 'utf8'),
) as {
  readonly llama: Json
  readonly vit: Json
  readonly rank: number
  readonly batch: number
  readonly seq: number
  readonly pixels: number
  readonly classes: number
  readonly counts: readonly Count[]
}

const configs = {
  llama: { ...golden.llama, model_type: 'llama', rms_norm_eps: 1e-6, rope_theta: 10000, tie_word_embeddings: false },
  vit: { ...golden.vit, model_type: 'vit', num_labels: golden.classes },
  efficientnet: {
    architecture: 'efficientnet_v2_s',
    image_size: golden.pixels,
    num_classes: golden.classes,
    model_args: { drop_rate: 0, drop_path_rate: 0 },
  },
} as const
const llamaTargets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
const targets = {
  llama: llamaTargets,
  vit: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'fc1', 'fc2'],
  efficientnet: [],
} as const
const fed = { llama: 'down_proj', vit: 'fc2', efficientnet: '' } as const

/** A model of any kind: its parameters and batches are opaque. */
type AnyModel = Model<unknown, unknown, unknown, string, unknown>

const accounted = async (
  of: Omit<Count, 'saved'>,
  dims: { readonly batch: number; readonly seq?: number },
  more: Partial<AccountOptions> = {},
): Promise<Account> => {
  const model = described(
    await orThrow(async () => parseConfig(configs[of.model], 'config.json')),
  ).model() as unknown as AnyModel
  const images = parameterSizes(model).filter(([path, sizes]) => sizes.length > 1 && !path.startsWith('classifier'))
  // the stem has fewer channels than the rank
  const narrow = images.flatMap(([path, sizes]): readonly (readonly [string, number])[] => {
    const inputs = sizes.length > 2 ? sizes[2]! : sizes[0]!
    return inputs < golden.rank
      ? [
          [path, inputs],
          [moduleOf(path), inputs],
        ]
      : []
  })
  const all = of.model === 'efficientnet' ? images.map(([path]) => path) : targets[of.model]
  const made = recordOf(of.method).make({
    targets: of.method === 'full' ? ['all'] : of.method === 'ia3' ? ['k_proj', 'v_proj', fed[of.model]] : all,
    rank: golden.rank,
    seed: 0,
    dropout: of.dropout,
    feedforward: [fed[of.model]],
    ranks: new Map(narrow),
  })
  return accountant(adapt(model, made as Method<Opaque>)).at(dims, {
    precision: of.precision,
    device: 'cpu',
    checkpointing: of.checkpointing,
    ...more,
  })
}

for (const { saved, ...of } of golden.counts) {
  const { model, method, dropout, precision, checkpointing } = of
  const name = `${model} ${method}${dropout > 0 ? ` with dropout ${dropout}` : ''}${checkpointing ? ' with checkpointing' : ''} in ${precision}`
  test(`${name}: what PyTorch keeps for the backward pass is counted to the byte`, async () => {
    const found = await accounted(of, { batch: golden.batch, ...(model === 'llama' ? { seq: golden.seq } : {}) })
    // PEFT's (IA)³ multiplies each vector by 1 before it is used, and keeps the product where its input has a gradient
    const copies = method === 'ia3' ? saved - found.saved : 0
    assert.ok(copies >= 0 && copies <= found.trained * (precision === 'f32' ? 4 : 2), `${copies} bytes`)
    assert.equal(found.saved + copies, saved)
  })
}

test('a checkpointed step holds the inputs of its layers, and recomputes one of them', async () => {
  const of = { model: 'llama', method: 'lora', dropout: 0, precision: 'bf16' } as const
  const dims = { batch: golden.batch, seq: golden.seq }
  const plain = await accounted({ ...of, checkpointing: false }, dims)
  const again = await accounted({ ...of, checkpointing: true }, dims)
  assert.equal(again.live, plain.layer)
  assert.equal(again.total, again.saved + again.live)
  assert.ok(again.total < plain.total)
  const tokens = golden.batch * golden.seq
  assert.equal(again.layers, 3 * tokens * 64 * 2)
})
test('of a loss in pieces, one piece of the logits is held, and the hidden values from which it is computed', async () => {
  const of = { model: 'llama', method: 'lora', dropout: 0, precision: 'bf16', checkpointing: false } as const
  const dims = { batch: golden.batch, seq: golden.seq }
  const tokens = golden.batch * golden.seq
  const [plain, pieces] = [await accounted(of, dims), await accounted(of, dims, { chunk: 8 })]
  const ofLoss = tokens * (96 * 4 + 8)
  assert.equal(plain.head, ofLoss)
  assert.equal(pieces.head, ofLoss / 3 + tokens * 64 * 2)
})
test('the transformers of 2024 repeat shared keys, make tables in every layer, and hold the logits three times', async () => {
  const of = { model: 'llama', method: 'paca', dropout: 0, precision: 'bf16', checkpointing: false } as const
  const dims = { batch: golden.batch, seq: golden.seq }
  const tokens = golden.batch * golden.seq
  const [now, then] = [await accounted(of, dims), await accounted(of, dims, { transformers: 4 })]
  // 64 features of queries, and 32 of keys and of values; tables of 16 for each of two layers more
  const repeated = 3 * tokens * 2 * (64 - 32) * 2
  const tables = 2 * 2 * golden.seq * 16 * 2
  // the first layer's input has no gradient, and PaCA's queries still have one
  assert.equal(then.saved - now.saved, repeated + tables)
  assert.equal(then.held, tokens * 96 * 8)
})

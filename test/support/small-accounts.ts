import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { accountant, type Accountant } from '../../src/compile/index.ts'
import { described, parameterSizes, parseConfig } from '../../src/model/index.ts'
import type { Model } from '../../src/tensor/index.ts'
import { orThrow, type Json } from '../../src/text/index.ts'
import { adapt, moduleOf, recordOf, type Method, type MethodName, type Opaque } from '../../src/tune/index.ts'

/** A small model under a method, of which PyTorch has been counted. */
export interface SmallStep {
  readonly model: 'llama' | 'vit' | 'efficientnet'
  readonly method: MethodName
  readonly dropout?: number
}
/** A JSON file of counts, by its folder among the golden values. */
export const countsIn = (folder: string): unknown =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../golden/${folder}/counts.json`, import.meta.url)), 'utf8'))

/** The sizes of the small models and their batch. */
export const small = countsIn('autograd') as {
  readonly llama: Json
  readonly vit: Json
  readonly rank: number
  readonly batch: number
  readonly seq: number
  readonly pixels: number
  readonly classes: number
}
/** The sizes of a batch of a small model. */
export const smallBatch = (model: SmallStep['model']): Readonly<Record<string, number>> => ({
  batch: small.batch,
  ...(model === 'llama' ? { seq: small.seq } : {}),
})

const configs = {
  llama: { ...small.llama, model_type: 'llama', rms_norm_eps: 1e-6, rope_theta: 10000, tie_word_embeddings: false },
  vit: { ...small.vit, model_type: 'vit', num_labels: small.classes },
  efficientnet: {
    architecture: 'efficientnet_v2_s',
    image_size: small.pixels,
    num_classes: small.classes,
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

/** The accountant of a small model under a method. */
export const smallAccountant = async (of: SmallStep): Promise<Accountant> => {
  const model = described(
    await orThrow(async () => parseConfig(configs[of.model], 'config.json')),
  ).model() as unknown as AnyModel
  const images = parameterSizes(model).filter(([path, sizes]) => sizes.length > 1 && !path.startsWith('classifier'))
  // the stem has fewer channels than the rank
  const narrow = images.flatMap(([path, sizes]): readonly (readonly [string, number])[] => {
    const inputs = sizes.length > 2 ? sizes[2]! : sizes[0]!
    return inputs < small.rank
      ? [
          [path, inputs],
          [moduleOf(path), inputs],
        ]
      : []
  })
  const all = of.model === 'efficientnet' ? images.map(([path]) => path) : targets[of.model]
  const made = recordOf(of.method).make({
    targets: of.method === 'full' ? ['all'] : of.method === 'ia3' ? ['k_proj', 'v_proj', fed[of.model]] : all,
    rank: small.rank,
    seed: 0,
    dropout: of.dropout ?? 0,
    feedforward: [fed[of.model]],
    ranks: new Map(narrow),
  })
  return accountant(adapt(model, made as Method<Opaque>))
}

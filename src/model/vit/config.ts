import type * as E from '../../either/index.ts'
import { attemptSync, fieldsOf, limits, type IoError, type Json } from '../../text/index.ts'
import { labelsJson, labelsOf, squareOf, type ImageConfig } from '../images/config.ts'

/** The sizes and constants of a vision transformer under Hugging Face's names. */
export interface ViTConfig extends ImageConfig {
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly layer_norm_eps: number
  readonly qkv_bias: boolean
  /** The height and width of a patch. */
  readonly patch_size: number
}

export const className = 'ViTForImageClassification'

/** Fields with the only values that are computed here. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  model_type: ['vit'],
  hidden_act: ['gelu'],
  hidden_dropout_prob: [0],
  attention_probs_dropout_prob: [0],
  problem_type: ['single_label_classification'],
  quantization_config: [],
}

const validate = (json: Json, file: string, named: (field: string) => string): ViTConfig => {
  const fields = fieldsOf(json, file, named)
  for (const [field, values] of Object.entries(neutral)) fields.only(field, ...values)
  const classes = fields.strings('architectures')
  if (classes.length > 0 && !classes.includes(className))
    throw fields.wrong('architectures', JSON.stringify([className]))
  const hidden = fields.integer('hidden_size', limits.hidden, 768)
  const heads = fields.integer('num_attention_heads', limits.heads, 12)
  if (hidden % heads !== 0)
    throw fields.wrong('num_attention_heads', `a divisor of ${named('hidden_size')} (${hidden})`)
  fields.only('head_dim', hidden / heads)
  const image = squareOf(json, file, 'image_size', largestImage, 224)
  const patch = squareOf(json, file, 'patch_size', largestImage, 16)
  if (image % patch !== 0) throw fields.wrong('image_size', `a multiple of ${named('patch_size')} (${patch})`)
  return {
    hidden_size: hidden,
    intermediate_size: fields.integer('intermediate_size', limits.intermediate, 3072),
    num_hidden_layers: fields.integer('num_hidden_layers', limits.layers, 12),
    num_attention_heads: heads,
    layer_norm_eps: fields.between('layer_norm_eps', 0, 1e-1, 1e-12),
    qkv_bias: fields.flag('qkv_bias', true),
    image_size: image,
    patch_size: patch,
    num_channels: fields.integer('num_channels', mostChannels, 3),
    labels: labelsOf(json, file, named),
  }
}

const largestImage = 2 ** 14
const mostChannels = 2 ** 10

/**
 * Reads a config.json of a vision transformer, with the defaults of transformers. Errors: a missing or absurd field,
 * heads that do not divide the features, patches that do not divide an image, dropout, another activation than the
 * exact gelu, another task than classification.
 * @example vitConfig(json, 'config.json')
 */
export const vitConfig = (
  json: Json,
  file: string,
  named = (field: string): string => field,
): E.Either<IoError, ViTConfig> => attemptSync(file, () => validate(json, file, named))

/** The config.json of a config. @example vitJson(config)['model_type'] // 'vit' */
export const vitJson = ({ labels, ...config }: ViTConfig): Json => ({
  model_type: 'vit',
  architectures: [className],
  ...config,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  ...labelsJson(labels),
})

import type * as E from 'fp-ts/lib/Either.js'
import { attemptSync, isRecord, type IoError, type Json } from '../../text/index.ts'
import { imageFields, longestSide } from './fields.ts'
import type { Preprocessing } from './preprocessing.ts'
import type { PictureSize } from './picture.ts'
import type { Resampling } from './resample.ts'

/** Pillow's filters by their numbers. */
const resamplings: readonly Resampling[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming']

/** The steps that are served; `do_convert_rgb` is always done. */
const served = ['do_resize', 'do_rescale', 'do_normalize', 'do_convert_rgb']

const sizeOf = (json: Json, file: string): PictureSize => {
  const fields = imageFields(json, file)
  const size = json['size'] ?? { height: 224, width: 224 }
  if (typeof size === 'number') {
    const side = fields.integer('size', longestSide)
    return { height: side, width: side }
  }
  if (!isRecord(size) || Object.keys(size).some(key => key !== 'height' && key !== 'width'))
    throw fields.wrong('size', 'a number, or an object with "height" and "width"')
  const sides = imageFields(size, file, side => `size.${side}`)
  return { height: sides.integer('height', longestSide), width: sides.integer('width', longestSide) }
}

/**
 * The preprocessing that a `preprocessor_config.json` of ViT states, with the defaults of transformers'
 * `ViTImageProcessor`. Errors name the file and the field: another processor, a step that is not served (`do_pad`,
 * `do_center_crop` and all others that are true), a size that depends on the image.
 * @example transformersPreprocessing('preprocessor_config.json', { size: { height: 224, width: 224 }, resample: 3 })
 */
export const transformersPreprocessing = (file: string, json: Json): E.Either<IoError, Preprocessing> =>
  attemptSync(file, () => {
    const fields = imageFields(json, file)
    const processors = ['ViTImageProcessor', 'ViTImageProcessorFast', 'ViTImageProcessorPil']
    fields.only('image_processor_type', ...processors)
    fields.only('feature_extractor_type', 'ViTFeatureExtractor', ...processors)
    for (const step of Object.keys(json)) if (step.startsWith('do_') && !served.includes(step)) fields.only(step, false)
    // images of many sizes make no batch
    fields.only('do_resize', true)
    const size = sizeOf(json, file)
    const resample = fields.between('resample', 0, resamplings.length - 1, 2)
    const resampling = resamplings[resample]
    if (resampling === undefined) throw fields.wrong('resample', 'the number of a filter of Pillow')
    const normalizes = fields.flag('do_normalize', true)
    return {
      scaling: { to: 'exact', ...size },
      resampling,
      size,
      scale: fields.flag('do_rescale', true) ? fields.between('rescale_factor', 0, 1, 1 / 255) : 1,
      mean: normalizes ? fields.finite('image_mean', [0.5, 0.5, 0.5]) : [0, 0, 0],
      std: normalizes ? fields.positive('image_std', [0.5, 0.5, 0.5]) : [1, 1, 1],
    }
  })

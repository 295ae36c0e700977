import type * as E from 'fp-ts/lib/Either.js'
import { attemptSync, isRecord, type IoError, type Json } from '../../text/index.ts'
import { imageFields, longestSide } from './fields.ts'
import type { Preprocessing, Scaling } from './preprocessing.ts'
import type { PictureSize } from './picture.ts'
import type { Resampling } from './resample.ts'

const resamplings: readonly Resampling[] = ['nearest', 'bilinear', 'bicubic', 'box', 'hamming', 'lanczos']

const isSide = (side: unknown): boolean =>
  typeof side === 'number' && Number.isInteger(side) && side >= 1 && side <= longestSide

const sizeOf = (json: Json, { wrong }: ReturnType<typeof imageFields>): PictureSize => {
  const size: unknown = json['input_size'] ?? [3, 224, 224]
  if (!Array.isArray(size) || size.length !== 3 || size[0] !== 3 || !size.slice(1).every(isSide))
    throw wrong('input_size', 'three channels, a height and a width, as [3, 224, 224]')
  return { height: Number(size[1]), width: Number(size[2]) }
}

/** The size before the crop: the input's, larger by 1 / `crop_pct`. */
const scalingOf = (mode: unknown, size: PictureSize, part: number): Scaling => {
  const height = Math.floor(size.height / part)
  const width = Math.floor(size.width / part)
  if (mode === 'squash') return { to: 'exact', height, width }
  return height === width ? { to: 'shorter', side: height } : { to: 'cover', height, width }
}

/**
 * The evaluation transform that the `pretrained_cfg` of a timm `config.json` states (in older files, the file itself),
 * with timm's defaults. Errors name the file and the field: an interpolation or a crop mode that is not served
 * (`random`, `border`), a border that is cut off, other than three channels.
 * @example timmPreprocessing('config.json', { pretrained_cfg: { input_size: [3, 300, 300], crop_pct: 1 } })
 */
export const timmPreprocessing = (file: string, config: Json): E.Either<IoError, Preprocessing> =>
  attemptSync(file, () => {
    const own = config['pretrained_cfg'] ?? undefined
    const json = isRecord(own) ? own : config
    const fields = imageFields(json, file, field => (json === own ? `pretrained_cfg.${field}` : field))
    fields.only('crop_mode', 'center', 'squash')
    fields.only('interpolation', ...resamplings)
    fields.only('crop_border_pixels', 0)
    const size = sizeOf(json, fields)
    return {
      scaling: scalingOf(json['crop_mode'], size, fields.between('crop_pct', 0.01, 1, 0.875)),
      // one of these names, as just checked
      resampling: (json['interpolation'] ?? 'bicubic') as Resampling,
      size,
      scale: 1 / 255,
      mean: fields.finite('mean', [0.485, 0.456, 0.406]),
      std: fields.positive('std', [0.229, 0.224, 0.225]),
    }
  })

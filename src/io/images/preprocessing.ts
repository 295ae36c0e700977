import type { Resampling } from './resample.ts'
import type { PictureSize } from './picture.ts'

/** One number for each of red, green and blue. */
export type ChannelValues = readonly [red: number, green: number, blue: number]

/**
 * The size that a picture is brought to before it is cropped: `exact` whatever its form; `shorter` so that its shorter
 * side has this length; `cover` so that the rectangle fits into it. The last two keep its form.
 */
export type Scaling =
  | ({ readonly to: 'exact' } & PictureSize)
  | { readonly to: 'shorter'; readonly side: number }
  | ({ readonly to: 'cover' } & PictureSize)

/**
 * The way from a picture to a model's input, as its own configuration states it: resize, crop at the center to `size`,
 * and `(value × scale - mean) / std` of each channel, with values from 0 to 255.
 */
export interface Preprocessing {
  readonly scaling: Scaling
  readonly resampling: Resampling
  /** The size of the result. */
  readonly size: PictureSize
  readonly scale: number
  readonly mean: ChannelValues
  readonly std: ChannelValues
}

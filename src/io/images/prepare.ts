import { crop, type Picture, type PictureSize } from './picture.ts'
import type { Preprocessing, Scaling } from './preprocessing.ts'
import { resize } from './resample.ts'

/** The nearest whole number, and of two equally near ones the even one, as Python rounds. */
const rounded = (x: number): number => {
  const down = Math.floor(x)
  return x - down === 0.5 ? down + (down % 2) : Math.round(x)
}

/** The size of a picture after scaling. */
const scaledSize = ({ height, width }: PictureSize, scaling: Scaling): PictureSize => {
  switch (scaling.to) {
    case 'exact':
      return scaling
    case 'shorter': {
      const long = (side: number, other: number): number => Math.trunc((scaling.side * side) / other)
      return width <= height
        ? { height: long(height, width), width: scaling.side }
        : { height: scaling.side, width: long(width, height) }
    }
    case 'cover': {
      const ratio = Math.min(height / scaling.height, width / scaling.width)
      return { height: rounded(height / ratio), width: rounded(width / ratio) }
    }
  }
}

/** A picture in the size of a model's input, as {@link Preprocessing} says. */
export const framed = (picture: Picture, { scaling, resampling, size }: Preprocessing): Picture => {
  const { height, width } = scaledSize(picture, scaling)
  const scaled = resize(picture, { height, width }, resampling)
  const top = rounded((height - size.height) / 2)
  const left = rounded((width - size.width) / 2)
  return height === size.height && width === size.width ? scaled : crop(scaled, { ...size, top, left })
}

/**
 * The numbers of a picture as a model reads them, `height × width × 3`, written to `out` or to a new array.
 * @example normalized(picture, { scale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] })
 */
export const normalized = (
  { data }: Picture,
  { scale, mean, std }: Pick<Preprocessing, 'scale' | 'mean' | 'std'>,
  out: Float32Array = new Float32Array(data.length),
): Float32Array => {
  const values = mean.map((middle, c) => Float32Array.from({ length: 256 }, (_, x) => (x * scale - middle) / std[c]!))
  const [red, green, blue] = values as [Float32Array, Float32Array, Float32Array]
  for (let i = 0; i < data.length; i += 3) {
    out[i] = red[data[i]!]!
    out[i + 1] = green[data[i + 1]!]!
    out[i + 2] = blue[data[i + 2]!]!
  }
  return out
}

/**
 * A picture as a model's input: `height × width × 3` numbers. It equals transformers' `ViTImageProcessor` and timm's
 * evaluation transform within the rounding of eight bits.
 * @example const numbers = prepareImage(picture, preprocessing)
 */
export const prepareImage = (picture: Picture, preprocessing: Preprocessing): Float32Array =>
  normalized(framed(picture, preprocessing), preprocessing)

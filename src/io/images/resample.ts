import type { Picture, PictureSize } from './picture.ts'

// Pillow's resampling (Resample.c and Geometry.c of Pillow), to the bit: a window of each output pixel is as wide as the
// filter, or wider by the factor by which the image shrinks, and its weights have 22 bits after the point.

/** A filter by its name in Pillow, in lower case. */
export type Resampling = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos'

/** A filter of the resampling: the distance beyond which it is zero, and its value at a distance. */
interface Kernel {
  readonly support: number
  readonly at: (x: number) => number
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** The slope of the bicubic filter at a distance of one (Keys 1981). */
const keys = -0.5
const bicubic = (x: number): number => {
  const far = Math.abs(x)
  if (far < 1) return ((keys + 2) * far - (keys + 3)) * far * far + 1
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * keys : 0
}

const kernels: Readonly<Record<Exclude<Resampling, 'nearest'>, Kernel>> = {
  box: { support: 0.5, at: x => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: x => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, at: x => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x))) },
  bicubic: { support: 2, at: bicubic },
  lanczos: { support: 3, at: x => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

const bits = 22
const half = 2 ** (bits - 1)

/** For each output pixel of an axis the first input pixel of its window, the length of the window, and its weights. */
interface Windows {
  readonly first: Int32Array
  readonly length: Int32Array
  /** The weights of output pixel i begin at `i × stride`. */
  readonly weights: Int32Array
  readonly stride: number
}

const windowsOf = (from: number, to: number, { support, at }: Kernel): Windows => {
  const scale = from / to
  const wider = Math.max(scale, 1)
  const reach = support * wider
  const stride = Math.ceil(reach) * 2 + 1
  const first = new Int32Array(to)
  const length = new Int32Array(to)
  const weights = new Int32Array(to * stride)
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale
    const start = Math.max(0, Math.trunc(center - reach + 0.5))
    const n = Math.min(from, Math.trunc(center + reach + 0.5)) - start
    const exact = Array.from({ length: n }, (_, j) => at((j + start - center + 0.5) * (1 / wider)))
    const sum = exact.reduce((total, weight) => total + weight, 0)
    exact.forEach((weight, j) => {
      const fixed = (sum === 0 ? weight : weight * (1 / sum)) * 2 ** bits
      weights[i * stride + j] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
    })
    first[i] = start
    length[i] = n
  }
  return { first, length, weights, stride }
}

const clipped = (sum: number): number => {
  const value = sum >> bits
  return value < 0 ? 0 : value > 255 ? 255 : value
}

/** Every row resampled to a width. */
const horizontal = ({ width, height, data }: Picture, to: number, kernel: Kernel): Picture => {
  const { first, length, weights, stride } = windowsOf(width, to, kernel)
  const out = new Uint8Array(height * to * 3)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < to; x++, at += 3) {
      let [red, green, blue] = [half, half, half]
      const end = x * stride + length[x]!
      for (let k = x * stride, i = 3 * (y * width + first[x]!); k < end; k++, i += 3) {
        const weight = weights[k]!
        red += data[i]! * weight
        green += data[i + 1]! * weight
        blue += data[i + 2]! * weight
      }
      out[at] = clipped(red)
      out[at + 1] = clipped(green)
      out[at + 2] = clipped(blue)
    }
  return { width: to, height, data: out }
}

/** Every column resampled to a height. */
const vertical = ({ width, height, data }: Picture, to: number, kernel: Kernel): Picture => {
  const { first, length, weights, stride } = windowsOf(height, to, kernel)
  const row = 3 * width
  const out = new Uint8Array(to * row)
  const sums = new Int32Array(row)
  for (let y = 0; y < to; y++) {
    sums.fill(half)
    for (let k = 0; k < length[y]!; k++) {
      const weight = weights[y * stride + k]!
      const start = (first[y]! + k) * row
      for (let i = 0; i < row; i++) sums[i]! += data[start + i]! * weight
    }
    for (let i = 0; i < row; i++) out[y * row + i] = clipped(sums[i]!)
  }
  return { width, height: to, data: out }
}

/** The input pixel of each output pixel; the steps are added up as Pillow does. */
const nearestOf = (from: number, to: number): Int32Array => {
  const step = from / to
  let at = step * 0.5
  return Int32Array.from({ length: to }, () => {
    const here = Math.floor(at)
    at += step
    return here
  })
}

const nearest = ({ width, height, data }: Picture, to: PictureSize): Picture => {
  const columns = nearestOf(width, to.width)
  const rows = nearestOf(height, to.height)
  const out = new Uint8Array(to.height * to.width * 3)
  let at = 0
  for (const y of rows)
    for (const x of columns) {
      const start = 3 * (y * width + x)
      out.set(data.subarray(start, start + 3), at)
      at += 3
    }
  return { ...to, data: out }
}

/**
 * The order of the two passes in Pillow 13: columns go first if they lose more than twice as many pixels as rows do.
 */
const columnsFirst = (from: PictureSize, to: PictureSize): boolean =>
  from.height - to.height > 2 * Math.max(0, from.width - to.width)

/**
 * A picture in another size, as Pillow's `Image.resize` makes it, to the bit: rows and columns one after the other,
 * with eight bits between them; a filter widens where the picture shrinks (antialiasing), except `nearest`. Sizes are
 * at least 1.
 * @example resize(picture, { height: 224, width: 224 }, 'bilinear')
 */
export const resize = (picture: Picture, { height, width }: PictureSize, filter: Resampling): Picture => {
  if (width === picture.width && height === picture.height) return picture
  if (filter === 'nearest') return nearest(picture, { height, width })
  const kernel = kernels[filter]
  const wide = (from: Picture): Picture => (width === from.width ? from : horizontal(from, width, kernel))
  const high = (from: Picture): Picture => (height === from.height ? from : vertical(from, height, kernel))
  return columnsFirst(picture, { height, width }) ? wide(high(picture)) : high(wide(picture))
}

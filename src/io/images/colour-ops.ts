import type { Picture } from './picture.ts'

// The colour operations of RandAugment (Cubuk et al. 2020) as Pillow computes them, to the bit.

/** A table with a value for each of the 256 values of a channel. */
type Table = Uint8Array

const table = (value: (x: number) => number): Table =>
  Uint8Array.from({ length: 256 }, (_, x) => Math.min(255, Math.max(0, Math.trunc(value(x)))))

const mapped = ({ width, height, data }: Picture, tables: readonly [Table, Table, Table]): Picture => {
  const out = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = tables[(i % 3) as 0 | 1 | 2][data[i]!]!
  return { width, height, data: out }
}
const everywhere = (picture: Picture, one: Table): Picture => mapped(picture, [one, one, one])

/** A number on the way from a to b, or beyond, in the float32 arithmetic of Pillow's `Image.blend`. */
const blended = (a: number, b: number, factor: number): number =>
  Math.fround(a + Math.fround(Math.fround(factor) * (b - a)))

/** The grey of a pixel: ITU-R 601-2 with weights of 16 bits. */
const greyOf = (data: Uint8Array, i: number): number =>
  (data[i]! * 19595 + data[i + 1]! * 38470 + data[i + 2]! * 7471 + 0x8000) >> 16

/** Brighter (a factor above 1) or darker. */
const brightness = (picture: Picture, factor: number): Picture =>
  everywhere(
    picture,
    table(x => blended(0, x, factor)),
  )

/** More (a factor above 1) or less contrast around the mean grey. */
const contrast = (picture: Picture, factor: number): Picture => {
  let sum = 0
  for (let i = 0; i < picture.data.length; i += 3) sum += greyOf(picture.data, i)
  const mean = Math.floor(sum / (picture.data.length / 3) + 0.5)
  return everywhere(
    picture,
    table(x => blended(mean, x, factor)),
  )
}

/** More (a factor above 1) or less colour; 0 is grey. */
const colour = ({ width, height, data }: Picture, factor: number): Picture => {
  const out = new Uint8ClampedArray(data.length)
  for (let i = 0; i < data.length; i += 3) {
    const grey = greyOf(data, i)
    for (let c = i; c < i + 3; c++) out[c] = Math.trunc(blended(grey, data[c]!, factor))
  }
  return { width, height, data: new Uint8Array(out.buffer) }
}

/** The upper bits of each value. */
const posterize = (picture: Picture, bits: number): Picture =>
  everywhere(
    picture,
    table(x => x & ~(2 ** (8 - bits) - 1)),
  )

/** Values at a threshold or above it, inverted. */
const solarize = (picture: Picture, threshold: number): Picture =>
  everywhere(
    picture,
    table(x => (x < threshold ? x : 255 - x)),
  )

/** A table for each channel, from the numbers of pixels that have each value in it. */
const byHistograms = (picture: Picture, tableOf: (counts: Int32Array) => Table): Picture => {
  const counts = [new Int32Array(256), new Int32Array(256), new Int32Array(256)] as const
  picture.data.forEach((x, i) => counts[(i % 3) as 0 | 1 | 2][x]!++)
  const [red, green, blue] = counts
  return mapped(picture, [tableOf(red), tableOf(green), tableOf(blue)])
}

const same = table(x => x)

/** Every channel stretched to the whole range. */
const autoContrast = (picture: Picture): Picture =>
  byHistograms(picture, counts => {
    const low = counts.findIndex(n => n > 0)
    const high = counts.findLastIndex(n => n > 0)
    if (high <= low) return same
    const scale = 255 / (high - low)
    return table(x => x * scale + -low * scale)
  })

/** Every channel with a flat histogram. */
const equalize = (picture: Picture): Picture =>
  byHistograms(picture, counts => {
    const last = counts.findLast(n => n > 0) ?? 0
    const step = Math.floor((counts.reduce((a, b) => a + b, 0) - last) / 255)
    if (step === 0) return same
    let below = Math.floor(step / 2)
    return table(x => {
      const value = Math.floor(below / step)
      below += counts[x]!
      return value
    })
  })

/** An operation on colours. `strength` is from 0, where it changes nothing or least, to 1; `sign` is 1 or -1. */
type ColourOp = (picture: Picture, strength: number, sign: number) => Picture

/**
 * The operations that a jitter draws from, with the ranges of torchvision's `RandAugment`; those that move pixels are
 * not among them.
 * @example colourOps.contrast(picture, 0.3, -1)
 */
export const colourOps = {
  identity: picture => picture,
  brightness: (picture, strength, sign) => brightness(picture, 1 + sign * 0.9 * strength),
  contrast: (picture, strength, sign) => contrast(picture, 1 + sign * 0.9 * strength),
  colour: (picture, strength, sign) => colour(picture, 1 + sign * 0.9 * strength),
  posterize: (picture, strength) => posterize(picture, 8 - Math.round(4 * strength)),
  solarize: (picture, strength) => solarize(picture, 255 * (1 - strength)),
  autoContrast: picture => autoContrast(picture),
  equalize: picture => equalize(picture),
} as const satisfies Readonly<Record<string, ColourOp>>

import { philox, philoxKey } from '../../tensor/index.ts'
import { colourOps } from './colour-ops.ts'
import { framed } from './prepare.ts'
import { crop, type Box, type Picture } from './picture.ts'
import type { Preprocessing } from './preprocessing.ts'
import { resize } from './resample.ts'

/** A range of numbers, both ends included. */
export type Interval = readonly [from: number, to: number]

/** Random changes of training images. What is left out is not done. */
export interface Augmentation {
  /** A random part of the image, resized to the input: the part of its area, and its width / height. */
  readonly crop?: { readonly area?: Interval; readonly ratio?: Interval } | undefined
  /** The probability of a mirror image. */
  readonly flip?: number | undefined
  /** Random operations on colours, one after the other, each of this strength from 0 to 1. */
  readonly jitter?: { readonly operations: number; readonly strength: number } | undefined
}

/** The place of an image in training, which alone determines its random changes. */
export interface ImageKey {
  readonly seed: number
  readonly epoch: number
  /** The index of the image in its data set. */
  readonly index: number
}

/** The second word of the generator's counter, which keeps these numbers apart from those of all other uses. */
const purpose = 0x696d6167
/** The number of boxes that are tried, as torchvision does, and of random numbers that each takes. */
const tries = 10
const each = 4

/** At least `count` numbers in [0, 1), a function of the key alone. */
const numbersOf = ({ seed, epoch, index }: ImageKey, count: number): readonly number[] =>
  Array.from({ length: Math.ceil(count / 4) }, (_, block) =>
    philox(philoxKey(seed), [block, purpose, epoch >>> 0, index >>> 0]),
  ).flatMap(words => words.map(word => (word >>> 8) * 2 ** -24))

const within = ([from, to]: Interval, u: number): number => from + (to - from) * u

/** The largest box at the center whose form is in the range. */
const central = ({ width, height }: Picture, [narrow, wide]: Interval): Box => {
  const form = Math.min(wide, Math.max(narrow, width / height))
  const size =
    form < width / height
      ? { height, width: Math.max(1, Math.round(height * form)) }
      : { height: Math.max(1, Math.round(width / form)), width }
  return { ...size, top: Math.floor((height - size.height) / 2), left: Math.floor((width - size.width) / 2) }
}

/**
 * A random box of a picture, as torchvision's `RandomResizedCrop` draws it: a part of the area, uniform, and a form,
 * uniform in its logarithm; if ten boxes do not fit, the largest one at the center.
 * @example randomBox(picture, { area: [0.08, 1], ratio: [3 / 4, 4 / 3] }, numbers)
 */
export const randomBox = (
  picture: Picture,
  { area = [0.08, 1], ratio = [3 / 4, 4 / 3] }: NonNullable<Augmentation['crop']>,
  numbers: readonly number[],
): Box => {
  const logarithms: Interval = [Math.log(ratio[0]), Math.log(ratio[1])]
  for (let attempt = 0; attempt < tries; attempt++) {
    const [part, form, down, right] = numbers.slice(attempt * each) as [number, number, number, number]
    const pixels = picture.width * picture.height * within(area, part)
    const aspect = Math.exp(within(logarithms, form))
    const width = Math.round(Math.sqrt(pixels * aspect))
    const height = Math.round(Math.sqrt(pixels / aspect))
    if (width < 1 || width > picture.width || height < 1 || height > picture.height) continue
    const top = Math.floor(down * (picture.height - height + 1))
    const left = Math.floor(right * (picture.width - width + 1))
    return { top, left, height, width }
  }
  return central(picture, ratio)
}

/** The mirror image, left and right exchanged. @example flipped(flipped(picture)) */
export const flipped = ({ width, height, data }: Picture): Picture => {
  const out = new Uint8Array(data.length)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x)
      out.set(data.subarray(from, from + 3), 3 * (y * width + width - 1 - x))
    }
  return { width, height, data: out }
}

const operations = Object.values(colourOps)

const isRange = ([from, to]: Interval, most: number): boolean => from > 0 && from <= to && to <= most

/** Checks that each number is in its range. @throws {RangeError} names the one that is not */
export const checkAugmentation = ({ crop: part, flip = 0, jitter }: Augmentation): void => {
  const { area = [1, 1], ratio = [1, 1] } = part ?? {}
  const { operations: count = 0, strength = 0 } = jitter ?? {}
  for (const [name, value, fits, expected] of [
    ['crop.area', area, isRange(area, 1), 'two parts of the image, above 0 and at most 1'],
    ['crop.ratio', ratio, isRange(ratio, Number.MAX_VALUE), 'two ratios of width and height, above 0'],
    ['flip', flip, flip >= 0 && flip <= 1, 'a probability'],
    ['jitter.operations', count, Number.isSafeInteger(count) && count >= 0 && count <= 100, 'a whole number'],
    ['jitter.strength', strength, strength >= 0 && strength <= 1, 'a number from 0 to 1'],
  ] as const)
    if (!fits) throw new RangeError(`augment: ${name} is ${JSON.stringify(value)}: expected ${expected}`)
}

/**
 * A picture in the size of a model's input, changed at random: cropped, mirrored, and with other colours, as the
 * augmentation says. It is a function of its arguments: a seed, an epoch and an index always give the same picture,
 * whichever worker makes it, and in whatever order.
 * @example augment(picture, preprocessing, { crop: {}, flip: 0.5 }, { seed: 0, epoch: 3, index: 17 })
 */
export const augment = (
  picture: Picture,
  preprocessing: Preprocessing,
  { crop: part, flip = 0, jitter }: Augmentation,
  key: ImageKey,
): Picture => {
  const count = jitter?.operations ?? 0
  const [flips, ...numbers] = numbersOf(key, 1 + tries * each + 2 * count) as [number, ...number[]]
  const sized =
    part === undefined
      ? framed(picture, preprocessing)
      : resize(crop(picture, randomBox(picture, part, numbers)), preprocessing.size, preprocessing.resampling)
  const turned = flips < flip ? flipped(sized) : sized
  return Array.from({ length: count }).reduce<Picture>((before, _, i) => {
    const [which, sign] = numbers.slice(tries * each + 2 * i) as [number, number]
    return operations[Math.floor(which * operations.length)]!(before, jitter!.strength, sign < 0.5 ? -1 : 1)
  }, turned)
}

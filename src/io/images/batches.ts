import * as E from 'fp-ts/lib/Either.js'
import type { StopSignal } from '../../backend/index.ts'
import { permutation, type Value } from '../../tensor/index.ts'
import { interruption, refusal, type IoError } from '../../text/index.ts'
import { augment, checkAugmentation, type Augmentation } from './augment.ts'
import { readImage } from './decode.ts'
import { inOrder } from './in-order.ts'
import type { LabelledImage } from './labelled.ts'
import type { Picture } from './picture.ts'
import { framed, normalized } from './prepare.ts'
import type { Preprocessing } from './preprocessing.ts'

/** Images as a model reads them, with the indices of their classes. */
export interface ImageBatch {
  readonly images: Value<readonly ['batch', number, number, number]>
  readonly labels: Value<readonly ['batch'], 'i32'>
}

/** The options of {@link imageBatches}. */
export interface ImageBatchOptions {
  /** Images of a batch; the last one of an epoch has the rest, unless `dropLast` leaves it out. */
  readonly size: number
  /** The seed of the order of images, which differs from epoch to epoch; without it, they keep their order. */
  readonly shuffle?: number | undefined
  /** True if a last batch of fewer images is left out. */
  readonly dropLast?: boolean | undefined
  /** Passes over all images (default 1); `Infinity` for as many as are read. */
  readonly epochs?: number | undefined
  /** The number of the first epoch (default 0): the epochs that a continued run has begun before. */
  readonly firstEpoch?: number | undefined
  /** The number of batches that are left out at the beginning (default 0): those that were read before. */
  readonly after?: number | undefined
  /** Random changes of each image, a function of the seed, the epoch and the index of the image. */
  readonly augment?: (Augmentation & { readonly seed: number }) | undefined
  /** True if broken images are left out; otherwise the first one ends the loop with an error. */
  readonly skipBroken?: boolean | undefined
  /** Called for each image that is left out, with one sentence that names its file, and the file. */
  readonly onBroken?: ((error: IoError, file: string) => void) | undefined
  /** Batches that are decoded before they are asked for (default 2). */
  readonly ahead?: number | undefined
  /** Ends the loop with an error for the interrupt. */
  readonly signal?: StopSignal | undefined
}

/** Batches that are made while they are read; reading them again gives the same ones. */
export interface ImageBatches extends AsyncIterable<ImageBatch> {
  /** The number of batches of all epochs behind those that are left out, if no image is broken. */
  readonly length: number
}

/** Images that are decoded at the same time: the threads of Node's pool, and as many that wait for it. */
const together = 8

interface Loaded {
  readonly epoch: number
  readonly file: string
  readonly label: number
  readonly picture: E.Either<IoError, Picture>
}

const natural = (name: string, value: number): void => {
  if (!(Number.isSafeInteger(value) && value > 0))
    throw new RangeError(`imageBatches: ${name} is ${String(value)}: it is a whole number, at least 1`)
}
const seed = (name: string, value: number | undefined): void => {
  if (value !== undefined && !Number.isSafeInteger(value))
    throw new RangeError(`imageBatches: ${name} is ${String(value)}: it is a seed, a whole number`)
}

const joined = (pictures: readonly Picture[], labels: readonly number[], preprocessing: Preprocessing): ImageBatch => {
  const { height, width } = preprocessing.size
  const length = height * width * 3
  const data = new Float32Array(pictures.length * length)
  pictures.forEach((picture, i) => normalized(picture, preprocessing, data.subarray(i * length, (i + 1) * length)))
  return {
    images: { shape: ['batch', height, width, 3], sizes: [pictures.length, height, width, 3], dtype: 'f32', data },
    labels: { shape: ['batch'], sizes: [labels.length], dtype: 'i32', data: Int32Array.from(labels) },
  }
}

/**
 * Batches of images, decoded ahead in the threads of Node's pool, a bounded number at a time: batches that wait hold
 * eight bits a channel. A broken image ends the loop with an error that names it, or is left out with `skipBroken`, and
 * the next image takes its place; batches never cross the end of an epoch. They are a function of the files and the
 * options, however fast each file is read. A loop that is left early starts no more work and closes its files.
 * @throws {RangeError} for options out of range, or if there is no batch
 * @example for await (const batch of imageBatches(images, preprocessing, { size: 32, shuffle: 0 })) await run.step(batch)
 */
export const imageBatches = (
  images: readonly LabelledImage[],
  preprocessing: Preprocessing,
  options: ImageBatchOptions,
): ImageBatches => {
  const { size, shuffle, dropLast = false, epochs = 1, augment: changes, ahead = 2, skipBroken = false } = options
  const { firstEpoch = 0, after = 0 } = options
  natural('size', size)
  if (epochs !== Infinity) natural('epochs', epochs)
  natural('ahead', ahead)
  if (!(Number.isSafeInteger(after) && after >= 0))
    throw new RangeError(`imageBatches: after is ${String(after)}: it is a whole number, at least 0`)
  seed('shuffle', shuffle)
  seed('augment.seed', changes?.seed)
  if (changes !== undefined) checkAugmentation(changes)
  const each = dropLast ? Math.floor(images.length / size) : Math.ceil(images.length / size)
  if (each === 0) throw new RangeError(`imageBatches: there is no batch: ${images.length} images, and the size ${size}`)

  const load = (epoch: number, index: number) => async (): Promise<Loaded> => {
    const { file, label } = images[index]!
    const picture = E.map((read: Picture) =>
      changes === undefined
        ? framed(read, preprocessing)
        : augment(read, preprocessing, changes, { seed: changes.seed, epoch, index }),
    )(await readImage(file)())
    return { epoch, file, label, picture }
  }
  // where broken images are left out, the images that made a batch are known only once they are read
  const [read, unread] = skipBroken ? [after, 0] : [0, after]
  const begun = firstEpoch + Math.floor(unread / each)
  function* tasks(): Generator<() => Promise<Loaded>> {
    let left = (unread % each) * size
    for (let epoch = begun; epoch < firstEpoch + epochs; epoch++) {
      const order = shuffle === undefined ? images.keys() : permutation(shuffle, epoch, images.length)
      for (const index of order) if (left-- <= 0) yield load(epoch, index)
    }
  }

  async function* all(): AsyncGenerator<ImageBatch, void, undefined> {
    const checkStop = (): void => {
      if (options.signal?.aborted === true) throw interruption()
    }
    let pictures: Picture[] = []
    let labels: number[] = []
    let [epoch, good] = [begun, 0]
    const taken = (): ImageBatch => {
      const batch = joined(pictures, labels, preprocessing)
      pictures = []
      labels = []
      return batch
    }
    checkStop()
    for await (const loaded of inOrder(tasks(), { ahead: ahead * size, together })) {
      checkStop()
      if (loaded.epoch !== epoch) {
        if (pictures.length > 0 && !dropLast) yield taken()
        pictures = []
        labels = []
        // epochs without end would be read without end
        if (good === 0) break
        epoch = loaded.epoch
      }
      if (E.isLeft(loaded.picture)) {
        const { message, code } = loaded.picture.left
        if (!skipBroken) throw refusal(message, code)
        options.onBroken?.(loaded.picture.left, loaded.file)
        continue
      }
      good++
      pictures.push(loaded.picture.right)
      labels.push(loaded.label)
      if (pictures.length === size) yield taken()
      checkStop()
    }
    if (pictures.length > 0 && !dropLast) yield taken()
    if (good === 0) throw refusal(`all ${images.length} images are broken`)
  }

  return {
    length: Math.max(0, each * epochs - after),
    async *[Symbol.asyncIterator](): AsyncGenerator<ImageBatch, void, undefined> {
      let left = read
      for await (const batch of all()) if (left-- <= 0) yield batch
    },
  }
}

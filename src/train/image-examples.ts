import {
  imageBatches,
  stepCount,
  type ImageBatch,
  type ImageBatchOptions,
  type LabelledImage,
  type Preprocessing,
} from '../io/index.ts'
import type { IoError } from '../text/index.ts'
import type { Examples } from './examples.ts'

/** The reading of images: their random changes, and what becomes of broken ones. */
export type ImageExamplesOptions = Pick<ImageBatchOptions, 'augment' | 'skipBroken' | 'onBroken' | 'signal'>

/** Micro-batches as the steps of a plan: `accumulate` at a time, the last ones of all may be fewer. */
async function* grouped<B>(batches: AsyncIterable<B>, accumulate: number, steps: number): AsyncGenerator<readonly B[]> {
  let group: B[] = []
  let step = 0
  if (steps <= 0) return
  for await (const batch of batches) {
    group.push(batch)
    if (group.length < accumulate) continue
    yield group
    group = []
    if (++step === steps) return
  }
  if (group.length > 0) yield group
}

/**
 * Labelled images as examples: decoded ahead of training, in the order of a plan. A broken image ends the loop with an
 * `IoError` that names it, or is left out with `skipBroken`: then the next image takes its place, and `onBroken` is told
 * once of each.
 * @example trainOn(session, imageExamples(images, preprocessing), { batch: 32, steps: 100, shuffle: true }, () => 1e-3)
 */
export const imageExamples = (
  images: readonly LabelledImage[],
  preprocessing: Preprocessing,
  options: ImageExamplesOptions = {},
): Examples<ImageBatch, 'images'> => {
  const told = new Set<string>()
  const onBroken = (error: IoError, file: string): void => {
    if (told.has(file)) return
    told.add(file)
    options.onBroken?.(error, file)
  }
  return {
    unit: 'images',
    length: images.length,
    dims: ({ batch }) => ({ batch }),
    unseen: () => ({}),
    steps: (plan, after = 0) => {
      const { batch, accumulate = 1, shuffle = false, seed = 0, firstEpoch = 0 } = plan
      const batches = imageBatches(images, preprocessing, {
        ...options,
        onBroken,
        size: batch,
        firstEpoch,
        after: after * accumulate,
        epochs: 'epochs' in plan ? plan.epochs : Infinity,
        ...(shuffle ? { shuffle: seed } : {}),
      })
      return grouped(batches, accumulate, stepCount(images.length, plan) - after)
    },
    first: count => imageExamples(images.slice(0, count), preprocessing, options),
  }
}

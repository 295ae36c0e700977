import { imageBatches, imageFiles } from '../io/index.ts'
import { giveWay } from '../backend/index.ts'
import { fail, orThrow } from '../text/index.ts'
import { likeliest } from './classification.ts'
import { logitsOf } from './evaluate.ts'
import { quantization } from './method.ts'
import { checkMemory, openAnyFrozen, type FrozenOptions } from './pretrained.ts'
import { isClassifier, openSource } from './source.ts'

/** The options of `partensor classify`. */
export interface ClassifyOptions extends FrozenOptions {
  /** An image, or a folder of images. */
  readonly image: string
  /** The number of classes that are reported of each image. */
  readonly top: number
  readonly batch: number
  readonly skipBroken?: boolean | undefined
}

/** The likeliest classes of one image. */
export interface ClassifyEvent {
  readonly event: 'image'
  readonly file: string
  readonly classes: readonly { readonly name: string; readonly probability: number }[]
}

/**
 * The likeliest classes of images, in order of their paths. Errors are thrown with one sentence: no image, a broken one
 * unless `skipBroken` leaves it out (which `onWarning` is told), a model of another task.
 * @example for await (const { file, classes } of classify({ model, image: 'photos', top: 5, batch: 8, target: 'auto' })) console.log(file, classes)
 */
export async function* classify(options: ClassifyOptions): AsyncGenerator<ClassifyEvent> {
  const { batch: size, image, top, signal, skipBroken, onWarning } = options
  const files = await orThrow(imageFiles(image))
  const opened = await orThrow(openSource(options.model))
  try {
    if (!isClassifier(opened))
      return await orThrow(async () =>
        fail(`${options.model}: it reads texts: expected a model that classifies images`),
      )
    const { source, session } = await openAnyFrozen(opened, options, options.adapter, quantization(options))
    await using _ = session
    const { labels } = source.checkpoint.config
    await orThrow(checkMemory(session.certificate({ batch: size }).total, session.limit))
    // the label of an image is its place among the files
    const places = files.map((file, label) => ({ file, label }))
    const batches = imageBatches(places, source.preprocessing, {
      size,
      skipBroken,
      signal,
      onBroken: ({ message }) => onWarning?.(`${message}: left out`),
    })
    for await (const batch of batches) {
      await giveWay(signal)
      const found = likeliest(await logitsOf(session, batch.images), labels, top)
      for (const [i, classes] of found.entries()) yield { event: 'image', file: files[batch.labels.data[i]!]!, classes }
    }
  } finally {
    await opened.checkpoint.close()
  }
}

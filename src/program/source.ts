import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  checkCached,
  loadAny,
  readLabelled,
  readPreprocessing,
  type AnyLoaded,
  type ImageBatch,
  type LabelledImages,
  type Loaded,
  type Preprocessing,
} from '../io/index.ts'
import { attemptSync, fail, type IoError } from '../text/index.ts'
import type { StopSignal } from '../backend/index.ts'
import type { Values } from '../tune/index.ts'
import { keepingHead, withLabels } from './classifier.ts'
import type { MethodOptions } from './method.ts'
import { targetsOf, type Targets } from './tune.ts'
import type { Task } from '../model/index.ts'
import { imageExamples, textExamples, type Examples, type ImageExamplesOptions, type Unit } from '../train/finetune.ts'
import { readRowsFor, rowWarnings, withTokenizer, type PretrainedModel } from './pretrained.ts'

/** A pretrained image classifier with the way from a picture to its input. */
export interface PretrainedClassifier extends Loaded<'images'> {
  readonly preprocessing: Preprocessing
}
interface Sources {
  readonly text: PretrainedModel
  readonly images: PretrainedClassifier
}
/** A pretrained model of any task, with what its data are read by. */
export type Source<T extends Task = Task> = Sources[T]

/** Tests for an image classifier. */
export const isClassifier = (source: Source): source is PretrainedClassifier => 'preprocessing' in source

const withPreprocessing = (loaded: Loaded<'images'>): TE.TaskEither<IoError, PretrainedClassifier> =>
  pipe(
    readPreprocessing(loaded.checkpoint.path),
    TE.flatMapEither(preprocessing => {
      const { path, config } = loaded.checkpoint
      const { height, width } = preprocessing.size
      if (config.num_channels !== 3)
        return fail(`${path}: the model reads ${config.num_channels} channels, and images have red, green and blue`)
      return height === config.image_size && width === config.image_size
        ? E.right({ ...loaded, preprocessing })
        : fail(
            `${path}: images are prepared as ${height} × ${width}, and the model reads ${config.image_size} × ${config.image_size}`,
          )
    }),
  )

/** A loaded model with what its data are read by. */
const sourceOf = (loaded: AnyLoaded): TE.TaskEither<IoError, Source> =>
  loaded.checkpoint.task === 'text'
    ? withTokenizer(loaded as Loaded<'text'>)
    : withPreprocessing(loaded as Loaded<'images'>)

/**
 * Opens a model of any task, with its tokenizer or the preparation of its images; weights are read on demand. Close
 * `checkpoint` once the session is open.
 * @example const source = await orThrow(openSource('vit-base-patch16-224'))
 */
export const openSource = (path: string): TE.TaskEither<IoError, Source> =>
  pipe(
    checkCached(path),
    TE.flatMap(() => loadAny(path)),
    TE.flatMap(loaded =>
      pipe(
        sourceOf(loaded),
        // a failure leaves no file open
        TE.tapError(() => TE.fromTask(() => loaded.checkpoint.close())),
      ),
    ),
  )

/** Random changes of training images, by name: see `--augment`. */
export type AugmentChoice = {
  /** The least part of the area of a random box, which is resized to the input. */
  readonly crop?: number | undefined
  /** The probability of a mirror image. */
  readonly flip?: number | undefined
  /** The strength of two random operations on colours. */
  readonly jitter?: number | undefined
}

/** The reading of data: options of texts, and options of images. */
export interface ReadOptions {
  /** Tokens of a row at most. */
  readonly seq?: number | undefined
  /** True if broken images are left out. */
  readonly skipBroken?: boolean | undefined
  readonly augment?: AugmentChoice | undefined
  readonly signal?: StopSignal | undefined
  /** Receives a sentence about each broken image that is left out. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/** The data of a batch, which no command looks into. */
export type AnyBatch = Values<unknown>

/** A data set, and sentences about what was left out or changed in it. */
export interface DataSet<B = AnyBatch, U extends Unit = Unit> {
  readonly examples: Examples<B, U>
  readonly warnings: readonly string[]
}

/** Refuses options that the task of a model does not have. */
export const checkReadOptions = (
  source: Source,
  { seq, skipBroken, augment }: ReadOptions,
  others: { readonly images?: Readonly<Record<string, unknown>> } = {},
): E.Either<IoError, void> => {
  const ofOther = isClassifier(source)
    ? { '--seq': seq }
    : { '--skip-broken': skipBroken, '--augment': augment, ...others.images }
  const [flag] = Object.entries(ofOther).find(([, value]) => value !== undefined && value !== false) ?? []
  const what = isClassifier(source) ? 'texts, and this model classifies images' : 'images, and this model reads texts'
  return flag === undefined ? E.right(undefined) : fail(`${flag} is of ${what}`)
}

const changes = ({ crop, flip, jitter }: AugmentChoice, seed: number): ImageExamplesOptions['augment'] => ({
  seed,
  ...(crop === undefined ? {} : { crop: { area: [crop, 1] as const } }),
  ...(flip === undefined ? {} : { flip }),
  ...(jitter === undefined ? {} : { jitter: { operations: 2, strength: jitter } }),
})

/**
 * Labelled images for a classifier, whose classes are those of its head. Errors: those of `readLabelled`.
 * @example const { examples } = await orThrow(readImages(source, 'digits', { skipBroken: true }))
 */
export const readImages = (
  { preprocessing, checkpoint: { config } }: PretrainedClassifier,
  path: string,
  { augment, skipBroken, signal, onWarning }: ReadOptions,
  seed = 0,
): TE.TaskEither<IoError, DataSet<ImageBatch, 'images'>> =>
  pipe(
    readLabelled(path, { classes: config.labels }),
    TE.map(({ images, warnings: { ignored } }) => ({
      examples: imageExamples(images, preprocessing, {
        skipBroken,
        signal,
        onBroken: ({ message }) => onWarning?.(`${message}: left out`),
        ...(augment === undefined ? {} : { augment: changes(augment, seed) }),
      }),
      warnings:
        ignored > 0 ? [`${path}: ${ignored} ${ignored === 1 ? 'file is no image' : 'files are no images'}`] : [],
    })),
  )

/** The same for batches that nobody looks into. */
const opaque = <B, U extends Unit>({ examples, warnings }: DataSet<B, U>): DataSet => ({
  examples: examples as Examples<unknown> as Examples<AnyBatch>,
  warnings,
})

/**
 * A data set for a model: rows of tokens, or labelled images, whose classes are those of its head. Errors: those of
 * `readRows` and `readLabelled`; options of the other task.
 * @example const { examples } = await orThrow(readExamples(source, 'digits', { skipBroken: true }))
 */
export const readExamples = (
  source: Source,
  path: string,
  options: ReadOptions,
  seed = 0,
): TE.TaskEither<IoError, DataSet> =>
  pipe(
    TE.fromEither(checkReadOptions(source, options)),
    TE.flatMap(() =>
      isClassifier(source)
        ? pipe(readImages(source, path, options, seed), TE.map(opaque))
        : pipe(
            readRowsFor(source, path, options.seq, options.signal),
            TE.map(({ rows, warnings }) =>
              opaque({ examples: textExamples(rows), warnings: rowWarnings(path, warnings) }),
            ),
          ),
    ),
  )

/** Tests if labels fit a head: they name its classes, or are as many. */
const fits = ({ classes, named }: LabelledImages, labels: readonly string[]): boolean =>
  named ? classes.every(name => labels.includes(name)) : classes.length === labels.length

/**
 * The model for a data set to train on: a classifier whose classes are others gets a new head, and `notes` says so.
 * @example const { source: fitting, notes } = await orThrow(fittingData(source, 'digits', 0))
 */
export const fittingData = (
  source: Source,
  path: string,
  seed: number,
): TE.TaskEither<IoError, { readonly source: Source; readonly notes: readonly string[] }> =>
  isClassifier(source)
    ? pipe(
        readLabelled(path),
        TE.flatMapEither(labelled => {
          const labels = fits(labelled, source.checkpoint.config.labels) ? undefined : labelled.classes
          return attemptSync(path, () => withLabels(source, labels, seed))
        }),
        TE.map(({ loaded, notes }) => ({ source: loaded, notes })),
      )
    : TE.right({ source, notes: [] })

/**
 * The targets of a method on a model: those of {@link targetsOf}, with a head that is a new one among them.
 * @example const targets = await orThrow(async () => targetsFor(source, method))
 */
export const targetsFor = (source: Source, method: MethodOptions): E.Either<IoError, Targets> =>
  pipe(
    targetsOf(source, method),
    E.flatMap(found => (isClassifier(source) ? keepingHead(source, method, found) : E.right(found))),
  )

import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { checkCached, hashOf, load, loadedWith, withClasses, type Adapter, type Loaded } from '../io/index.ts'
import { attemptSync, fail, orThrow, refusal, type IoError } from '../text/index.ts'
import { versions } from '../host/index.ts'
import { isFloats, isTensor, leaves, moduleOf, recordOf } from '../tune/index.ts'
import type { Session } from '../backend/index.ts'
import { adapterOf, changedBuffers, keepsBase, remembering } from '../train/finetune.ts'
import { methodOptions, settingsFrom, type MethodChoice, type MethodOptions } from './method.ts'
import { targetsOf, tuneModel, type Targets, type TunedClassifier } from './tune.ts'

/** A pretrained image classifier, and a sentence about its head if that is a new one. */
export interface Classifier extends Loaded<'images'> {
  readonly notes: readonly string[]
}

/** The options of {@link openClassifier}. */
export interface ClassifierOptions {
  /** The names of the classes, in the order of the logits; those of the model unless specified. */
  readonly labels?: readonly string[]
  /** The seed of a new head. */
  readonly seed?: number
  /** True if training leaves the running statistics of batch norms as they are (default: false). */
  readonly frozenStatistics?: boolean
}

/**
 * Opens an image classifier from a Hugging Face directory; its weights are read on demand. If the classes are not those
 * of the model, its head is a new one, and `notes` says so. Close `checkpoint` once the session is open.
 * @example const { model, weights } = await orThrow(openClassifier('vit-base', { labels: ['cat', 'dog'] }))
 */
export const openClassifier = (
  path: string,
  { labels, seed = 0, frozenStatistics = false }: ClassifierOptions = {},
): TE.TaskEither<IoError, Classifier> =>
  pipe(
    checkCached(path),
    TE.flatMap(() => load(path, 'images')),
    TE.flatMap(loaded =>
      pipe(
        TE.fromEither(
          attemptSync(path, () => withLabels(frozenStatistics ? withStatisticsFrozen(loaded) : loaded, labels, seed)),
        ),
        TE.map(({ loaded: own, notes }): Classifier => ({ ...own, notes })),
        TE.tapError(() => TE.fromTask(() => loaded.checkpoint.close())),
      ),
    ),
  )

/** The same model with frozen statistics. Throws an `IoError` if it has none. */
export const withStatisticsFrozen = <L extends Loaded<'images'>>(loaded: L): L => {
  const { checkpoint, model } = loaded
  if (leaves(model.buffers, isTensor).length === 0)
    throw refusal(`${checkpoint.path}: the model has no running statistics to freeze`)
  return loadedWith(loaded, { ...checkpoint, config: { ...checkpoint.config, frozenStatistics: true } })
}

/** A classifier for other classes than its own, if they are others: then its head is a new one, and `notes` says so. */
export const withLabels = <L extends Loaded<'images'>>(
  loaded: L,
  labels: readonly string[] | undefined,
  seed: number,
): { readonly loaded: L; readonly notes: readonly string[] } => {
  const { checkpoint } = loaded
  const changed = labels === undefined ? checkpoint : withClasses(checkpoint, labels, seed)
  if (changed === checkpoint) return { loaded, notes: [] }
  const { head } = checkpoint.architecture
  const before = checkpoint.config.labels.length
  const note = `${checkpoint.path}: ${head} is a new one, for ${changed.config.labels.length} classes instead of ${before} others`
  return { loaded: loadedWith(loaded, changed), notes: [note] }
}

/** A classifier with a method applied to it, and what its adapter is made of in addition to a session. */
export interface TunedImages {
  readonly tuned: TunedClassifier
  readonly options: MethodOptions
  readonly targets: Targets
  readonly frozen: ReturnType<typeof remembering>['frozen']
}

/**
 * Applies a method to a classifier. Unless modules are named, those are adapted that its architecture names, and its
 * head is trained whole. Errors: those of the method's options and targets.
 * @example const { tuned } = await orThrow(async () => tuneClassifier(classifier, { method: 'paca', rank: 16, seed: 0 }))
 */
export const tuneClassifier = (source: Loaded<'images'>, choice: MethodChoice): E.Either<IoError, TunedImages> =>
  pipe(
    methodOptions(choice, source.checkpoint.architecture),
    E.flatMap(options =>
      pipe(
        targetsOf(source, options),
        E.flatMap(targets => keepingHead(source, options, targets)),
        E.flatMap(targets =>
          pipe(
            tuneModel<'images'>(source, options, {}, targets),
            E.map((made): TunedImages => ({ options, targets, ...remembering(made) })),
          ),
        ),
      ),
    ),
  )

/** The same targets, if an adapter of them holds a head that is a new one: its first numbers are in no file. */
export const keepingHead = (
  { checkpoint: { original, architecture } }: Loaded<'images'>,
  { method }: MethodOptions,
  { modules, whole }: Targets,
): E.Either<IoError, Targets> => {
  const { head } = architecture
  const { reach, besides } = recordOf(method)
  const tuned = reach === 'every' ? modules.map(({ path }) => path) : []
  return original === undefined || [...whole.map(moduleOf), ...tuned].includes(head)
    ? E.right({ modules, whole })
    : fail(
        `${head} is a new one for other classes, and has to be trained whole: ` +
          (besides
            ? `--modules-to-save ${head}`
            : reach === 'every'
              ? `name ${head} in --target-modules`
              : `--method ${method} leaves it as it is`),
      )
}

/** The parts of a session that an adapter is made of. */
export type TrainedSession = Pick<Session<unknown, unknown, unknown, unknown, unknown, unknown>, 'selection'> & {
  readonly read: () => Promise<{ readonly focus: unknown; readonly buffers?: unknown }>
}

/**
 * The numbers of the base that an adapter of a method keeps: read before the first step; undefined if it keeps none.
 * @example const base = await baseOf(tunedImages, session)
 */
export const baseOf = async ({ options: { method } }: TunedImages, session: TrainedSession): Promise<unknown> =>
  keepsBase(method) ? (await session.read()).focus : undefined

/** The buffers of a checkpoint, by path. */
const buffersOf = async (
  { architecture, tensors }: Loaded<'images'>['checkpoint'],
  paths: readonly string[],
): Promise<ReadonlyMap<string, Float32Array>> => {
  const read = (path: string): Promise<Float32Array> => orThrow(tensors.get(architecture.stored(path).name)!.readF32())
  return new Map(await Promise.all(paths.map(async path => [path, await read(path)] as const)))
}

/**
 * The adapter that a session has trained, with the classes that its head is for, and the running statistics that
 * training has changed. `base` is the result of {@link baseOf}.
 * @example await orThrow(saveAdapter('out', await orThrow(classifierAdapter(classifier, tunedImages, session, base))))
 */
export const classifierAdapter = (
  { checkpoint }: Pick<Loaded<'images'>, 'checkpoint'>,
  { options, targets, frozen }: TunedImages,
  session: TrainedSession,
  base: unknown,
): TE.TaskEither<IoError, Adapter> =>
  pipe(
    hashOf(checkpoint),
    TE.flatMap(baseModelHash =>
      TE.fromTask(async () => {
        const { targetModules, seed, method, rank } = options
        const { focus, buffers } = await session.read()
        const paths = leaves(buffers, isFloats).map(([path]) => path)
        const before = await buffersOf(checkpoint, paths)
        return adapterOf(
          { targetModules, seed, settings: {}, baseModelName: checkpoint.path, baseModelHash, versions: versions() },
          {
            method,
            rank,
            settings: { ...settingsFrom(options), labels: checkpoint.config.labels },
            selection: session.selection,
            base,
            focus,
            frozen,
            whole: targets.whole,
            buffers: changedBuffers(buffers, path => before.get(path)),
          },
        )
      }),
    ),
  )

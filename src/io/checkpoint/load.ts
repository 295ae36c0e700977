import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  described,
  fromStorage,
  storedLeaf,
  type ImageModel,
  type LanguageModel,
  type Layout,
  type Models,
  type Task,
} from '../../model/index.ts'
import type { Shape, Value } from '../../tensor/index.ts'
import { isTensor, mapTree, type Lazy } from '../../tune/index.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import { fail, orThrow, type IoError } from '../../text/index.ts'
import { withHeadFor, type HeadUse } from './head.ts'

/**
 * A pretrained model: its declaration, its weights and buffers (read leaf by leaf on demand), and the open checkpoint.
 */
export interface Loaded<T extends Task> {
  readonly model: Models[T]
  readonly weights: Lazy<Models[T]['params']>
  readonly buffers: Lazy<Models[T]['buffers']>
  readonly checkpoint: Checkpoint<T>
}
/** A pretrained model of any task. */
export type AnyLoaded = Loaded<'text'> | Loaded<'images'>

/**
 * The Hugging Face name of a leaf of the parameter tree, or of a module.
 * @example parameterName('model.norm') // 'model.norm.weight'
 */
export const parameterName = (path: string): string => storedLeaf(path).name

/** The order in which a checkpoint stores the axes of a leaf. @example layoutOf('lm_head') // 'linear' */
export const layoutOf = (path: string): Layout => storedLeaf(path).layout

const readLeaf = async (checkpoint: Checkpoint, path: string, shape: Shape): Promise<Value> => {
  const { name, layout } = checkpoint.architecture.stored(path)
  const { sizes, readF32 } = checkpoint.tensors.get(name)!
  return { shape, dtype: 'f32', ...fromStorage(layout, { sizes, data: await orThrow(readF32()) }) }
}

/** A tree whose leaves become their readers: the structure stays. */
const readers = (checkpoint: Checkpoint, tree: unknown): unknown =>
  mapTree(tree, isTensor, (leaf, at) => ({ read: () => readLeaf(checkpoint, at, leaf.shape) }))

/**
 * The model of an open checkpoint, whose weights are read on demand.
 * @example const { model, weights } = loadedFrom(checkpoint)
 */
export const loadedFrom = <T extends Task>(checkpoint: Checkpoint<T>): Loaded<T> => {
  const model: LanguageModel | ImageModel = described(checkpoint).model()
  const { params, buffers } = model as ImageModel
  // the model is that of the checkpoint's task, and the structure of the trees is that of its own
  return { model, weights: readers(checkpoint, params), buffers: readers(checkpoint, buffers), checkpoint } as Loaded<T>
}

/** The tasks in words. */
const words = { text: 'continues texts', images: 'classifies images' } as const satisfies Record<Task, string>

/**
 * Opens a model of a task from a Hugging Face directory or a GGUF file. Close the checkpoint once the session is open.
 * Errors: those of `openCheckpoint`; a model of another task.
 * @example const { model, weights, checkpoint } = await orThrow(load('SmolLM2-135M-Instruct.gguf', 'text'))
 */
export const load = <T extends Task>(path: string, task: T): TE.TaskEither<IoError, Loaded<T>> =>
  pipe(
    openCheckpoint(path),
    TE.flatMap(checkpoint =>
      isOf(checkpoint, task)
        ? TE.right(loadedFrom(checkpoint))
        : pipe(
            TE.fromTask(checkpoint.close),
            TE.flatMap(
              () => async () =>
                fail(
                  `${path}: a ${checkpoint.architecture.name} ${words[checkpoint.task]}: expected a model that ${words[task]}`,
                ),
            ),
          ),
    ),
  )

/**
 * Opens a model of any task, as {@link load} does.
 * @example const loaded = await orThrow(loadAny('model'))
 */
export const loadAny = (path: string): TE.TaskEither<IoError, AnyLoaded> =>
  pipe(
    openCheckpoint(path),
    TE.map((checkpoint): AnyLoaded => (checkpoint.task === 'text' ? loadedFrom(checkpoint) : loadedFrom(checkpoint))),
  )

/** Tests for a checkpoint of a task. */
const isOf = <T extends Task>(checkpoint: Checkpoint, task: T): checkpoint is Checkpoint<T> => checkpoint.task === task

/**
 * The model for adapters: the loaded one, unless one of them trains head and embedding separately and the model ties
 * them, or has a head for other classes. Then the head is a leaf of its own, initialized as a copy of the embedding, or
 * a new one.
 * @example const { model, weights } = loadedFor(await orThrow(load('model', 'text')), [adapter])
 */
export const loadedFor = <L extends AnyLoaded>(loaded: L, adapters: readonly HeadUse[]): L =>
  loadedWith(loaded, withHeadFor(loaded.checkpoint, adapters))

/** The same model with a checkpoint that was made from its own. */
export const loadedWith = <L extends AnyLoaded>(loaded: L, checkpoint: Checkpoint): L =>
  checkpoint === loaded.checkpoint ? loaded : { ...loaded, ...loadedFrom(checkpoint) }

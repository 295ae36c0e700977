import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { storedLeaf, type LanguageModel, type LanguageParams } from '../../model/index.ts'
import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import { isTensor, mapTree, type Lazy } from '../../tune/index.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import { orThrow, type IoError } from '../../host/index.ts'
import { withOwnHead } from './tied-head.ts'

/** A pretrained model: its declaration, its weights (read leaf by leaf on demand), and the open checkpoint. */
export interface Loaded {
  readonly model: LanguageModel
  readonly weights: Lazy<LanguageParams>
  readonly checkpoint: Checkpoint
}

/**
 * The Hugging Face name of a leaf of the parameter tree.
 * @example parameterName('model.norm') // 'model.norm.weight'
 */
export const parameterName = (path: string): string => storedLeaf(path).name

/**
 * Tests whether a checkpoint stores a leaf as `[out, in]`, as PyTorch does; the tree has `[in, out]`, so that a column
 * of the paper's W is a row of storage.
 */
export const isTransposed = (path: string): boolean => storedLeaf(path).transposed

const readLeaf = async (checkpoint: Checkpoint, path: string, shape: Shape): Promise<Value> => {
  const { name, transposed } = checkpoint.architecture.stored(path)
  const entry = checkpoint.tensors.get(name)!
  const data = await orThrow(entry.readF32())
  if (!transposed) return { shape, sizes: entry.sizes, dtype: 'f32', data }
  const [out, inner] = entry.sizes as readonly [number, number]
  return { shape, sizes: [inner, out], dtype: 'f32', data: transposeMatrix(data, out, inner) }
}

const loadedFrom = (checkpoint: Checkpoint): Loaded => {
  const model = checkpoint.architecture.model(checkpoint.config)
  // each leaf becomes its reader: the structure is that of the parameters
  const weights = mapTree(model.params, isTensor, (leaf, at) => ({
    read: () => readLeaf(checkpoint, at, leaf.shape),
  })) as Lazy<LanguageParams>
  return { model, weights, checkpoint }
}

/**
 * Opens a model from a Hugging Face directory or a GGUF file. Close the checkpoint once the session is open.
 * @example const { model, weights, checkpoint } = await orThrow(load('SmolLM2-135M-Instruct.gguf'))
 */
export const load = (path: string): TE.TaskEither<IoError, Loaded> => pipe(openCheckpoint(path), TE.map(loadedFrom))

/**
 * The model for adapters: the loaded one, unless one of them trains head and embedding separately and the model ties
 * them. Then the head is a leaf of its own, initialized as a copy of the embedding.
 * @example const { model, weights } = loadedFor(await orThrow(load('model')), [adapter])
 */
export const loadedFor = <L extends Loaded>(loaded: L, adapters: readonly { readonly untied?: boolean }[]): L =>
  loaded.checkpoint.config.tie_word_embeddings && adapters.some(({ untied }) => untied === true)
    ? { ...loaded, ...loadedFrom(withOwnHead(loaded.checkpoint)) }
    : loaded

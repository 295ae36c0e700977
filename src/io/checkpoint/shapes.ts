import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { exists, statusOf } from '../../host/index.ts'
import { described, publishedModel, stateSizes, storedSizes, type ModelDescription } from '../../model/index.ts'
import { attempt, attemptSync, codeOf, orThrow, refusal, type IoError } from '../../text/index.ts'
import { elementCount, type Entry } from './archive.ts'
import { readConfig, type Checkpoint } from './checkpoint.ts'
import { loadAny, loadedFrom, type AnyLoaded } from './load.ts'
import { weightFiles } from './weights.ts'

/** Handles models of which only the shapes are known: there are no weights to read. */

/** A tensor with sizes and without numbers. */
const emptyEntry = (path: string, name: string, sizes: readonly number[], elements: number): Entry => {
  const unread = refusal(`${path}: tensor ${name} has no numbers: only its sizes are known`)
  return {
    name,
    dtype: 'F32',
    sizes,
    byteLength: 4 * elements,
    read: () => Promise.reject(unread),
    readF32: () => TE.left(unread),
    readRaw: () => Promise.reject(unread),
  }
}

/** A checkpoint with all tensors of a config and no numbers. */
const shapesOf = (path: string, description: ModelDescription): E.Either<IoError, Checkpoint> =>
  attemptSync(path, () => {
    const { architecture } = description
    const entries = stateSizes(described(description).model()).map(([leaf, own]) => {
      const { name, layout } = architecture.stored(leaf)
      const sizes = storedSizes(layout, own)
      const elements = elementCount(sizes)
      if (elements === undefined) throw refusal(`${path}: tensor ${name} has more elements than can be counted`)
      return [name, emptyEntry(path, name, sizes, elements)] as const
    })
    // bytes of float64, the widest that anything is counted in
    if (!Number.isSafeInteger(2 * entries.reduce((sum, [, { byteLength }]) => sum + byteLength, 0)))
      throw refusal(`${path}: the model has more parameters than can be counted`)
    return {
      ...description,
      kind: 'huggingface',
      path,
      tensors: new Map(entries),
      metadata: new Map(),
      warnings: [],
      close: async () => undefined,
    }
  })

/**
 * A model of any task from its description, with all of its sizes and no weights. Errors: sizes that overflow.
 * @example loadedShapes('vit-b16', description)
 */
export const loadedShapes = (path: string, description: ModelDescription): TE.TaskEither<IoError, AnyLoaded> =>
  TE.fromEither(
    pipe(
      shapesOf(path, description),
      E.map((checkpoint): AnyLoaded => (checkpoint.task === 'text' ? loadedFrom(checkpoint) : loadedFrom(checkpoint))),
    ),
  )

/** The path of the config alone, if that is all there is; undefined if there are weights, whose header is read. */
const configAlone = async (path: string): Promise<string | undefined> => {
  const isDirectory = (await statusOf(path)).isDirectory()
  if (!isDirectory) return path.endsWith('.json') && basename(path) !== weightFiles[1] ? path : undefined
  const config = join(path, 'config.json')
  const others = [...weightFiles, 'adapter_config.json'].map(name => orThrow(exists(join(path, name))))
  return (await Promise.all(others)).includes(true) || !(await orThrow(exists(config))) ? undefined : config
}

/**
 * Opens a model of any task from its shapes alone: by the name of a published model, from a config.json, from a
 * directory with or without weights, or from a checkpoint's header. What is at the path goes before a name. Weights
 * cannot be read unless they are there. Errors: a name that nothing has (the message lists the names that there are), a
 * config with a missing field, sizes that overflow, those of `loadAny`.
 * @example const { model, checkpoint } = await orThrow(loadShapes('llama3-8b'))
 */
export const loadShapes = (path: string): TE.TaskEither<IoError, AnyLoaded> =>
  pipe(
    attempt(path, async () => {
      try {
        return await configAlone(path)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || path === '') throw error
        return orThrow(TE.fromEither(publishedModel(path)))
      }
    }),
    TE.flatMap(found => {
      if (typeof found === 'object') return loadedShapes(path, found)
      if (found !== undefined)
        return pipe(
          attempt(found, () => readConfig(found)),
          TE.flatMap(({ description }) => loadedShapes(path, description)),
        )
      const isInDirectory = weightFiles.some(name => name === basename(path))
      return loadAny(isInDirectory ? dirname(path) : path)
    }),
  )

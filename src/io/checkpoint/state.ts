import type * as TE from 'fp-ts/lib/TaskEither.js'
import { writeAtomically } from '../../host/index.ts'
import { described, stateSizes, storedSizes, toStorage, type ModelDescription } from '../../model/index.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { isValue, leaves } from '../../tune/index.ts'
import { leafOf, safetensorsBytes } from '../safetensors/write.ts'
import { showSizes, valueOf } from './archive.ts'

/** The parameters and the buffers of a model, as a session gives them. */
export interface ModelState {
  readonly params: unknown
  readonly buffers?: unknown
}

/**
 * Writes a model in the state that a session has as a directory that its own library loads: config.json, and
 * model.safetensors with the names and the axes of its checkpoints. Errors: a leaf that is missing or has other sizes
 * than the config asks for, a number that is not finite, a directory that is not empty.
 * @example await saveModel('out', checkpoint, { params: await run.params(), buffers: await run.buffers() })()
 */
export const saveModel = (
  directory: string,
  description: ModelDescription,
  { params, buffers }: ModelState,
): TE.TaskEither<IoError, void> =>
  attempt(directory, async () => {
    const given = new Map([...leaves(params, isValue), ...leaves(buffers, isValue)])
    const { model, json } = described(description)
    const stored = stateSizes(model()).map(([path, sizes]) => {
      const value = given.get(path)
      if (value === undefined) throw refusal(`${directory}: there is no ${path} to save`)
      const { data } = value
      if (!(data instanceof Float32Array) || showSizes(value.sizes) !== showSizes(sizes))
        throw refusal(
          `${directory}: ${path} is ${value.dtype} ${showSizes(value.sizes)}: expected f32 ${showSizes(sizes)}`,
        )
      const { name, layout } = description.architecture.stored(path)
      return leafOf(name, valueOf('f32', storedSizes(layout, sizes), toStorage(layout, { sizes, data }).data))
    })
    const files = {
      'config.json': `${JSON.stringify(json(), null, 2)}\n`,
      'model.safetensors': safetensorsBytes(stored, { format: 'pt' }),
    }
    await orThrow(writeAtomically(directory, files))
  })

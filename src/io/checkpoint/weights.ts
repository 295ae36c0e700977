import { join } from 'node:path'
import { exists } from '../../host/index.ts'
import { orThrow, refusal } from '../../text/index.ts'
import { openSafetensors, openSharded } from '../safetensors/read.ts'
import type { Archive } from './archive.ts'

/** The files of a directory of which one holds its weights: all of them, or the index of their shards. */
export const weightFiles = ['model.safetensors', 'model.safetensors.index.json'] as const

/**
 * The weights of a directory, in one file or in shards; if both exist, the single file is used, as in transformers.
 * Rejects with an `IoError`.
 */
export const openWeights = async (directory: string): Promise<Archive & { readonly warnings: readonly string[] }> => {
  const [file, index] = weightFiles
  const [whole, shards] = [join(directory, file), join(directory, index)]
  const isSharded = await orThrow(exists(shards))
  if (await orThrow(exists(whole))) {
    const archive = await orThrow(openSafetensors(whole))
    return {
      ...archive,
      warnings: isSharded ? [`${whole}: it is read, and the shards of ${index} beside it are not`] : [],
    }
  }
  if (isSharded) return { ...(await orThrow(openSharded(shards))), warnings: [] }
  throw refusal(`${directory}: the directory holds neither ${file} nor ${index}`)
}

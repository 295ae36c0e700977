import { isRecord, parsedJson, refusal } from '../../text/index.ts'
import type { Dim, Shape } from '../../tensor/index.ts'

/** The beginning of the keys that are Partensor's own in the metadata of a file. */
export const ownPrefix = 'partensor.'
/** The key of the names of dims: a JSON object from paths to shapes. */
export const dimsKey = `${ownPrefix}dims`
/** The key of the versions that wrote the file. */
export const versionsKey = `${ownPrefix}versions`

const isDim = (x: unknown): x is Dim => typeof x === 'string' || typeof x === 'number'
const isShape = (x: unknown): x is Shape => Array.isArray(x) && x.every(isDim)

/**
 * The shapes in the metadata of a file, by path; none if the file was written by another program.
 * @throws an `IoError` if they are not what `save` writes
 */
export const shapesIn = (file: string, text: unknown): ReadonlyMap<string, Shape> => {
  if (text === undefined) return new Map()
  const json = parsedJson(`${file}: the metadata ${dimsKey}`, String(text))
  if (!isRecord(json)) throw refusal(`${file}: the metadata ${dimsKey} is not an object`)
  return new Map(
    Object.entries(json).map(([path, shape]) => {
      if (!isShape(shape)) throw refusal(`${file}: the metadata ${dimsKey} has no shape for ${path}`)
      return [path, shape]
    }),
  )
}

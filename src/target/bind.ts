import type { Programs } from '../compile/index.ts'
import type { Source } from '../tensor/index.ts'
import { SessionError, type Buffer } from './device.ts'

/** Checks a batch against its declaration and reads the sizes of its dims. */
export const batchSources = (batch: Programs['batch'], values: ReadonlyMap<string, Buffer>): readonly Source[] => batch.map(([path, leaf]) => {
  const value = values.get(path)
  if (value === undefined) throw new SessionError(`the batch has no ${path}`)
  if (value.dtype !== leaf.dtype) throw new SessionError(`${path} of the batch is ${value.dtype}, not ${leaf.dtype}`)
  return { where: `${path} of the batch`, shape: leaf.shape, sizes: value.sizes }
})

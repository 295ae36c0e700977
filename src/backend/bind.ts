import type { Programs } from '../compile/index.ts'
import type { Source } from '../tensor/index.ts'
import type { Buffer } from './device.ts'

/** The sizes of dims that the given leaves of a batch determine, if they agree with their declarations. */
export const batchSources = (batch: Programs['batch'], values: ReadonlyMap<string, Buffer>): readonly Source[] =>
  batch.flatMap(([path, leaf]) => {
    const value = values.get(path)
    return value === undefined ? [] : [{ where: `${path} of the batch`, shape: leaf.shape, sizes: value.sizes }]
  })

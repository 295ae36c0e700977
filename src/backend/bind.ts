import type { Programs } from '../compile/index.ts'
import type { Source } from '../tensor/index.ts'
import type { Buffer } from './device.ts'

/** The sizes of dims that a batch determines, if it agrees with its declaration. */
export const batchSources = (batch: Programs['batch'], values: ReadonlyMap<string, Buffer>): readonly Source[] =>
  batch.map(([path, leaf]) => ({ where: `${path} of the batch`, shape: leaf.shape, sizes: values.get(path)!.sizes }))

import { bindDims, bufferPath } from '../compile/index.ts'
import type { DType, Shape, Source, Value } from '../tensor/index.ts'
import { isLazyLeaf, isValue, leaves, mapTree, tensorsOf, type LazyLeaf } from '../tune/index.ts'
import { SessionError, type Buffer } from './device.ts'
import type { BufferValues, FedBatch } from './engine.ts'
import { withBuffers } from './engine.ts'
import { copied, valueFor, valuesFor } from './values.ts'

/** The first values of a model's buffers, and the sizes that they determine. */
export interface FirstBuffers {
  readonly values: BufferValues
  readonly sources: readonly Source[]
}

type Reader = Exclude<LazyLeaf<Shape, DType>, Value<Shape, DType>>
const isReader = (leaf: unknown): leaf is Reader => isLazyLeaf(leaf) && !isValue(leaf)

/**
 * First buffers as values: those that are read on demand, as from a checkpoint, are read one by one.
 * @example firstBuffers(model.buffers, await readBuffers(loaded.buffers))
 */
export const readBuffers = async (given: unknown): Promise<unknown> => {
  const read = new Map<Reader, unknown>()
  for (const [, reader] of leaves(given, isReader)) read.set(reader, await reader.read())
  return read.size === 0 ? given : mapTree(given, isReader, reader => read.get(reader))
}

/**
 * Copies the first values of a model's buffers, by the paths of their leaves among those of a batch.
 * @throws {SessionError} if there are none, or values are missing or differ from their declaration
 * @example firstBuffers(model.buffers, init.buffers(model))
 */
export const firstBuffers = (declared: unknown, given: unknown): FirstBuffers => {
  const leaves = tensorsOf(declared)
  if (declared === undefined && given !== undefined)
    throw new SessionError('the model declares no buffers, and is given some')
  if (leaves.length > 0 && given === undefined)
    throw new SessionError(
      `the model has ${leaves.length === 1 ? 'a buffer' : 'buffers'}: give compile their values beside the weights, { weights, buffers }; init.buffers makes the first ones`,
    )
  const found = valuesFor('buffers', declared, given, ({ path, ...place }) => {
    const where = bufferPath(path)
    return [where, place.leaf, copied(valueFor({ ...place, where }))] as const
  })
  const sources = found.map(([where, { shape }, { sizes }]) => ({ where, shape, sizes }))
  bindDims(sources)
  return { values: new Map(found.map(([where, , value]) => [where, value])), sources }
}

/** The buffers that a session keeps. They are replaced as a whole, and never changed. */
export interface HeldBuffers {
  readonly present: () => BufferValues
  readonly replace: (next: BufferValues) => void
  /** A batch with the present values beside its own, for a request whose turn has come. */
  readonly beside: (batch: FedBatch) => FedBatch
  /** Copies of the present values, in the order of their leaves. */
  readonly read: () => readonly Buffer[]
}

/** Holds buffers from their first values on. @example const held = heldBuffers(first.values) */
export const heldBuffers = (first: BufferValues): HeldBuffers => {
  let present = first
  return {
    present: () => present,
    replace: next => {
      present = next
    },
    beside: batch => withBuffers(batch, present),
    read: () => [...present.values()].map(copied),
  }
}

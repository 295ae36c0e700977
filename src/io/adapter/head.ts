import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import { showSizes, valueOf } from '../checkpoint/archive.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { refusal } from '../../host/index.ts'
import { parameterName } from '../checkpoint/load.ts'
import type { Adapter } from './adapter.ts'

/** A head that the base ties to its embedding, in terms of an adapter. */

type Floats = Value<Shape>

/** Paths of the two leaves: the embedding is [vocab, hidden], the head [hidden, vocab]. */
export const embeddingPath = 'model.embed_tokens'
export const headPath = 'lm_head'

const turned = ({ sizes: [rows = 0, columns = 0], data }: Floats): Floats =>
  valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))

/**
 * How a base has its head: tied; given a place of its own since an adapter asks for it; or with a place of its own in
 * the file.
 */
export type Head = 'tied' | 'parted' | 'own'

/** How a checkpoint has its head. */
export const headOf = ({ tensors }: Pick<Checkpoint, 'tensors'>): Head => {
  const entry = tensors.get(parameterName(headPath))
  return entry === undefined ? 'tied' : entry.copyOf === undefined ? 'own' : 'parted'
}

const equal = (a: Floats, b: Floats): boolean =>
  showSizes(a.sizes) === showSizes(b.sizes) && a.data.every((x, i) => x === b.data[i])

/**
 * An adapter in terms of a base with such a head. One that was trained with the two tied says it of the embedding
 * alone where they are one, and of both where another adapter has parted them. Throws an `IoError` where head and
 * embedding are to be one and the adapter has two.
 */
export const fitHead = (subject: string, adapter: Adapter, base: Head): Adapter => {
  if (base === 'own' || adapter.untied === true) return adapter
  if (adapter.method === 'full' && base === 'parted') {
    const embedding = adapter.modules.get(embeddingPath)
    if (embedding === undefined) return adapter
    return { ...adapter, modules: new Map(adapter.modules).set(headPath, { values: turned(embedding.values) }) }
  }
  const whole = new Map(adapter.whole)
  const embedding = whole.get(embeddingPath)
  const head = whole.get(headPath)
  if (embedding === undefined) return adapter
  if (head !== undefined && !equal(turned(embedding), head)) {
    throw refusal(`${subject}: ${headPath} and ${embeddingPath} are tied in the adapter, but hold different numbers`)
  }
  if (base === 'tied') whole.delete(headPath)
  else whole.set(headPath, turned(embedding))
  return { ...adapter, whole }
}

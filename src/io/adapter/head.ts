import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import { showSizes, valueOf } from '../checkpoint/archive.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { refusal } from '../../text/index.ts'
import { tieOf } from '../../model/index.ts'
import { withModules, type Adapter, type AnyAdapter } from './adapter.ts'
import { recordOf } from '../../tune/index.ts'

/** Handles the head that a base ties to its embedding, for adapters. */

type Floats = Value<Shape>

const turned = ({ sizes: [rows = 0, columns = 0], data }: Floats): Floats =>
  valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))

/** The state of a base's head: tied; separated because an adapter requires it; or stored separately in the file. */
export type Head = 'tied' | 'parted' | 'own'

/** The state of a checkpoint's head. */
export const headOf = ({ architecture, tensors }: Pick<Checkpoint, 'architecture' | 'tensors'>): Head => {
  const entry = tensors.get(architecture.stored(architecture.head).name)
  return entry === undefined ? 'tied' : entry.copyOf === undefined ? 'own' : 'parted'
}

const equal = (a: Floats, b: Floats): boolean =>
  showSizes(a.sizes) === showSizes(b.sizes) && a.data.every((x, i) => x === b.data[i])

/**
 * Adapts an adapter to the head of a base. An adapter that was trained with head and embedding tied changes the
 * embedding alone if they are one, and both if another adapter has separated them. Throws an `IoError` if head and
 * embedding must be one and the adapter has two.
 */
export const fitHead = (subject: string, adapter: Adapter, base: Head): Adapter => {
  // the embedding is [vocab, hidden], the head [hidden, vocab]
  const { modules }: AnyAdapter = adapter
  const [tie] = [...modules.keys(), ...(adapter.whole?.keys() ?? [])].flatMap(path => tieOf(path) ?? [])
  if (base === 'own' || adapter.untied === true || tie === undefined) return adapter
  const module = modules.get(tie.embedding)
  const values = module && recordOf(adapter.method).change === 'values' ? module['values'] : undefined
  if (base === 'parted' && values?.dtype === 'f32' && values.sizes.length === 2) {
    // the head is a weight that is trained whole, like the embedding
    return withModules(adapter, new Map(modules).set(tie.head, { values: turned(values) }))
  }
  const whole = new Map(adapter.whole)
  const embedding = whole.get(tie.embedding)
  const head = whole.get(tie.head)
  if (embedding === undefined) return adapter
  if (head !== undefined && !equal(turned(embedding), head)) {
    throw refusal(`${subject}: ${tie.head} and ${tie.embedding} are tied in the adapter, but hold different numbers`)
  }
  if (base === 'tied') whole.delete(tie.head)
  else whole.set(tie.head, turned(embedding))
  return { ...adapter, whole }
}

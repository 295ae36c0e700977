import * as TE from 'fp-ts/lib/TaskEither.js'
import { described, toStorage, type ModelDescription } from '../../model/index.ts'
import { refusal } from '../../text/index.ts'
import { init, isFloats, leaves, moduleOf, tensorsOf } from '../../tune/index.ts'
import { valueOf, type Entry } from './archive.ts'

/** Handles the head of an image classifier, which is made anew for other classes. */

/** An image classifier and its tensors; `original` are those of its files. */
type Described = ModelDescription<'images'> & {
  readonly tensors: ReadonlyMap<string, Entry>
  readonly original?: ReadonlyMap<string, Entry>
}

/** A tensor that is in no file. */
const madeEntry = (name: string, sizes: readonly number[], data: Float32Array): Entry => ({
  name,
  dtype: 'F32',
  sizes,
  byteLength: data.byteLength,
  read: async () => valueOf('f32', sizes, data),
  readF32: () => TE.right(data),
  readRaw: async (offset, length) => new Uint8Array(data.buffer, data.byteOffset + offset, length),
})

/**
 * A checkpoint for other classes: its head is a new one, whose first values are those that the model declares. If the
 * classes are those that it has, nothing changes.
 * @example withClasses(checkpoint, ['cat', 'dog'], 0).config.labels // ['cat', 'dog']
 */
export const withClasses = <C extends Described>(checkpoint: C, labels: readonly string[], seed: number): C => {
  const { architecture, config, tensors } = checkpoint
  if (labels.length === 0) throw refusal('there are no classes')
  if (labels.join('\n') === config.labels.join('\n')) return checkpoint
  const changed = { ...checkpoint, config: { ...config, labels } }
  const { params, dims = {} } = described(changed).model()
  const inHead = (path: string): boolean => moduleOf(path).replace(/\.bias$/, '') === architecture.head
  const head = Object.fromEntries(tensorsOf(params).filter(([path]) => inHead(path)))
  const made = leaves(init.params({ params: head, dims }, { seed }), isFloats).map(([path, value]) => {
    const { name, layout } = architecture.stored(path)
    const { sizes, data } = toStorage(layout, value)
    return [name, madeEntry(name, sizes, data)] as const
  })
  return { ...changed, tensors: new Map([...tensors, ...made]), original: checkpoint.original ?? tensors }
}

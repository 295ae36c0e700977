import { showSizes, type Entry } from './archive.ts'
import { orThrow } from '../../text/index.ts'
import type { ModelDescription } from '../../model/index.ts'

/**
 * Handles the head of a language model, which a config may tie to the embedding: one weight in two places. A file may
 * contain a separate head nevertheless, and an adapter may train the two separately.
 */

/** The names of the two tensors. */
const namesOf = ({ architecture }: ModelDescription<'text'>) => ({
  embedding: architecture.stored(architecture.embedding).name,
  head: architecture.stored(architecture.head).name,
})

/** The bytes that are compared at once. */
const pieceBytes = 2 ** 22

/**
 * Tests whether two tensors have the same numbers, in whatever types they are stored; reads no further than the first
 * difference.
 */
const sameNumbers = async (a: Entry, b: Entry): Promise<boolean> => {
  if (showSizes(a.sizes) !== showSizes(b.sizes)) return false
  if (a.dtype !== b.dtype) {
    const [left, right] = [await orThrow(a.readF32()), await orThrow(b.readF32())]
    return left.every((x, i) => x === right[i])
  }
  for (let at = 0; at < a.byteLength; at += pieceBytes) {
    const length = Math.min(pieceBytes, a.byteLength - at)
    if (Buffer.compare(await a.readRaw(at, length), await b.readRaw(at, length)) !== 0) return false
  }
  return true
}

/** A model and its tensors. */
type Described = ModelDescription & { readonly tensors: ReadonlyMap<string, Entry> }

/**
 * Resolves a config that ties the head, as transformers 5 does: a head with other numbers than the embedding stays
 * separate, with a warning; one with the same numbers is the embedding, and so is a head without an embedding.
 */
export const resolveTiedHead = async (
  path: string,
  described: Described,
): Promise<Described & { readonly warnings: readonly string[] }> => {
  if (described.task !== 'text') return { ...described, warnings: [] }
  const { config, tensors } = described
  const { embedding, head } = namesOf(described)
  const own = tensors.get(head)
  const embedded = tensors.get(embedding)
  if (!config.tie_word_embeddings || own === undefined) return { ...described, warnings: [] }
  const rest = new Map([...tensors].filter(([name]) => name !== head))
  if (embedded === undefined)
    return { ...described, tensors: rest.set(embedding, { ...own, name: embedding }), warnings: [] }
  if (await sameNumbers(own, embedded)) return { ...described, tensors: rest, warnings: [] }
  const warning =
    `${path}: tie_word_embeddings is true, but ${head} holds other numbers than ${embedding}: ` +
    'the two are kept apart'
  return { ...described, config: { ...config, tie_word_embeddings: false }, warnings: [warning] }
}

/**
 * A checkpoint whose tied head becomes a parameter of its own, initialized as a copy of the embedding. The hash does
 * not change.
 * @example withOwnHead(checkpoint).tensors.has('lm_head.weight') // true
 */
export const withOwnHead = <C extends Described>(checkpoint: C): C => {
  if (checkpoint.task !== 'text') return checkpoint
  const { config, tensors } = checkpoint
  const { embedding, head } = namesOf(checkpoint)
  const entry = tensors.get(embedding)
  if (!config.tie_word_embeddings || entry === undefined) return checkpoint
  const parted = new Map(tensors).set(head, { ...entry, name: head, copyOf: embedding })
  return { ...checkpoint, config: { ...config, tie_word_embeddings: false }, tensors: parted }
}

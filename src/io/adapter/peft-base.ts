import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Shape, Value } from '../../tensor/index.ts'
import { recordOf } from '../../tune/index.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { valueOf } from '../checkpoint/archive.ts'
import { entriesOf, type Checkpoint } from '../checkpoint/checkpoint.ts'
import type { Adapter, AnyAdapter } from './adapter.ts'

/** The number of training steps that PyTorch's batch norms count: nothing reads it, and PEFT asks for it. */
export const counter = 'num_batches_tracked'

/**
 * The norms whose running statistics an adapter holds: PEFT keeps those of modules that are saved whole.
 */
export const normsOf = ({
  buffers = new Map<string, Value<Shape>>(),
  modules,
  method,
}: AnyAdapter): readonly string[] => {
  const norms = new Set([...buffers.keys()].map(path => path.slice(0, path.lastIndexOf('.'))))
  const tuned = [...norms].find(path => modules.has(path))
  if (tuned !== undefined)
    throw refusal(`PEFT's ${recordOf(method).title} has no running statistics, as of ${tuned}: export it merged`)
  return [...norms]
}

/** The facts about a base that are needed in addition to the widths of its modules. */
export interface PeftBase {
  /** True if its head is tied to the embedding. */
  readonly tied?: boolean
  /** The weights and biases of norms whose running statistics the adapter holds, by path. */
  readonly norms?: ReadonlyMap<string, Value<Shape>>
}

/**
 * The facts about a base that PEFT's files need for an adapter. Errors: a file that can no longer be read.
 * @example await savePeft('out', adapter, inputWidths(checkpoint), await orThrow(peftBaseOf(checkpoint, adapter)))()
 */
export const peftBaseOf = (checkpoint: Checkpoint, adapter: Adapter): TE.TaskEither<IoError, PeftBase> =>
  attempt(checkpoint.path, async () => {
    if (checkpoint.task === 'text') return { tied: checkpoint.config.tie_word_embeddings }
    const norms = new Map<string, Value<Shape>>()
    const entries = entriesOf(checkpoint)
    for (const path of normsOf(adapter).flatMap(norm => [norm, `${norm}.bias`])) {
      const entry = entries.get(path)
      if (entry !== undefined) norms.set(path, valueOf('f32', entry.sizes, await orThrow(entry.readF32())))
    }
    return { norms }
  })

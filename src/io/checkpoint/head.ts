import type { ModelDescription } from '../../model/index.ts'
import { refusal } from '../../text/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import { withClasses } from './classes.ts'
import { withOwnHead } from './tied-head.ts'

interface Sized {
  readonly sizes: readonly number[]
}

/** The facts about an adapter that decide which head its base has. */
export interface HeadUse {
  /** True if head and embedding are trained separately although the base ties them. */
  readonly untied?: boolean
  /** The classes of a head that was made for them. */
  readonly labels?: readonly string[]
  readonly whole?: ReadonlyMap<string, Sized>
  readonly modules?: ReadonlyMap<string, Readonly<Record<string, Sized>>>
}

/**
 * The classes of an adapter's head: their names, or their numbers if there are as many as in no base; else undefined.
 */
const classesOf = (
  { architecture: { head }, config: { labels: own } }: ModelDescription<'images'>,
  { labels, whole, modules }: HeadUse,
): readonly string[] | undefined => {
  // a head is [features, classes]
  const count = (whole?.get(head) ?? modules?.get(head)?.['values'])?.sizes.at(-1)
  if (count === undefined) {
    if (labels === undefined || labels.length === own.length) return undefined
    throw refusal(
      `the adapter is for ${labels.length} classes and holds no ${head}, and that of the base is for ${own.length}`,
    )
  }
  if (labels !== undefined && labels.length !== count)
    throw refusal(`the adapter names ${labels.length} classes (labels), and its ${head} has ${count}`)
  if (labels !== undefined) return labels
  return count === own.length ? undefined : Array.from({ length: count }, (_, i) => `LABEL_${i}`)
}

/**
 * A checkpoint with the head that adapters were trained with: one of its own if they part it from the embedding, and
 * one for their classes if those are not the base's. Throws an `IoError` if adapters have different classes.
 * @example withHeadFor(checkpoint, [adapter])
 */
export const withHeadFor = (checkpoint: Checkpoint, adapters: readonly HeadUse[]): Checkpoint => {
  if (checkpoint.task === 'text')
    return adapters.some(({ untied }) => untied === true) ? withOwnHead(checkpoint) : checkpoint
  const [first, ...others] = adapters.flatMap(adapter => {
    const labels = classesOf(checkpoint, adapter)
    return labels === undefined ? [] : [labels]
  })
  if (first === undefined) return checkpoint
  const other = others.find(labels => labels.join('\n') !== first.join('\n'))
  if (other !== undefined)
    throw refusal(`the adapters have heads for different classes: ${first.length} and ${other.length} of them`)
  // every number of the head comes from the adapter
  return withClasses(checkpoint, first, 0)
}

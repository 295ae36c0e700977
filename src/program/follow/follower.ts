import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { IoError } from '../../text/index.ts'
import type { FinetuneEvent } from '../events.ts'

/** An event of a run, with what is measured when it is followed. */
export interface Followed {
  readonly event: FinetuneEvent
  /** The number of steps that are made. */
  readonly step: number
  /** The bytes that the process holds. */
  readonly memory: number
  /** Milliseconds since 1970. */
  readonly time: number
}

/** A file that follows a run, event by event. */
export interface Follower {
  /** Writes an event. Errors: the file cannot be written; what was written before stays whole. */
  follow(followed: Followed): TE.TaskEither<IoError, void>
  /** Ends the file. Errors: what is left to write cannot be written. */
  close(): TE.TaskEither<IoError, void>
}

/** The number of tokens or images of a step, and their name. */
export const countOf = (
  of: { readonly tokens: number } | { readonly images: number },
): readonly [number, 'tokens' | 'images'] => ('images' in of ? [of.images, 'images'] : [of.tokens, 'tokens'])

import { turn } from './turn.ts'

/** Runs work in the order in which it arrives, one piece after another. */
export interface Queue {
  /**
   * Starts work at once if nothing is in progress, and otherwise when all earlier work has ended, whether it succeeded
   * or not. The result arrives a turn of the event loop later.
   */
  readonly run: <A>(work: () => Promise<A>) => Promise<A>
  /** True if work would start at once. */
  readonly idle: () => boolean
}

/** @example const queue = queueOf(), loss = await queue.run(() => engine.step(batches)) */
export const queueOf = (): Queue => {
  let under = 0
  let last: Promise<unknown> = Promise.resolve()
  const ending = async <A>(started: Promise<A>): Promise<A> => {
    try {
      return await started
    } finally {
      await turn()
      under -= 1
    }
  }
  return {
    run: work => {
      const ended = ending(under === 0 ? work() : last.then(work))
      under += 1
      last = ended.catch(() => undefined)
      return ended
    },
    idle: () => under === 0,
  }
}

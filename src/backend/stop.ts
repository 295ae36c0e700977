import { turn, type StopSignal } from './turn.ts'
import { isLazyLeaf, mapTree } from '../tune/index.ts'
import { interruption } from '../text/index.ts'

/** Throws the error of an interrupt if work is to stop. @example checkStop(options.signal) */
export const checkStop = (signal: StopSignal | undefined): void => {
  if (signal?.aborted === true) throw interruption()
}

/**
 * Lets pending events, such as signals and timers, be handled, then throws if work is to stop: a target may compute
 * without ever waiting.
 * @example for (const row of rows) { await giveWay(signal); … }
 */
export const giveWay = async (signal: StopSignal | undefined): Promise<void> => {
  await turn()
  checkStop(signal)
}

/** Runs work in parts without pauses. @example atOnce(parsing(name, content, {})) */
export const atOnce = <A>(parts: Generator<undefined, A>): A => {
  for (;;) {
    const { done, value } = parts.next()
    if (done === true) return value
  }
}

/** The milliseconds of work between pauses in which signals are handled. */
const withoutPause = 50

/** Runs work in parts with pauses, and ends it if it is to stop. @example await unhurried(parts, signal) */
export const unhurried = async <A>(parts: Generator<undefined, A>, signal: StopSignal | undefined): Promise<A> => {
  for (let since = performance.now(); ;) {
    const { done, value } = parts.next()
    if (done === true) return value
    if (performance.now() - since < withoutPause) continue
    await giveWay(signal)
    since = performance.now()
  }
}

/** The same weights, except that none is read any more once a run is to stop: reading a large model takes long. */
export const stoppable = <W>(weights: W, signal: StopSignal | undefined): W =>
  // the structure stays, and so does the type of each leaf
  mapTree(weights, isLazyLeaf, leaf =>
    'read' in leaf
      ? {
          read: async () => {
            await giveWay(signal)
            return leaf.read()
          },
        }
      : leaf,
  ) as W

import { turn, type StopSignal } from '../backend/index.ts'
import { isLazyLeaf, mapTree } from '../tune/index.ts'
import { interruption } from '../host/index.ts'

/** Ends work that was asked to stop, by an error that says so. @example checkStop(options.signal) */
export const checkStop = (signal: StopSignal | undefined): void => {
  if (signal?.aborted === true) throw interruption()
}

/**
 * Lets whatever waits have its turn, signals and timers among it, and then ends work that was asked to stop: a target
 * may compute without ever waiting.
 * @example for (const row of rows) { await giveWay(signal); … }
 */
export const giveWay = async (signal: StopSignal | undefined): Promise<void> => {
  await turn()
  checkStop(signal)
}

/** Work in parts, done in one go. @example atOnce(parsing(name, content, {})) */
export const atOnce = <A>(parts: Generator<undefined, A>): A => {
  for (;;) {
    const { done, value } = parts.next()
    if (done === true) return value
  }
}

/** Milliseconds of work without a pause in which signals are seen. */
const withoutPause = 50

/** Work in parts, done with pauses; it ends where it is asked to stop. @example await unhurried(parts, signal) */
export const unhurried = async <A>(parts: Generator<undefined, A>, signal: StopSignal | undefined): Promise<A> => {
  for (let since = performance.now(); ;) {
    const { done, value } = parts.next()
    if (done === true) return value
    if (performance.now() - since < withoutPause) continue
    await giveWay(signal)
    since = performance.now()
  }
}

/** The same weights, of which none is read any more once a run was asked to stop: a large model is long in coming. */
export const stoppable = <W>(weights: W, signal: StopSignal | undefined): W =>
  // the structure stays, and each leaf is what it was
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

import { setImmediate as nextTurn } from 'node:timers/promises'
import { interruption } from '../io/index.ts'
import { isLazyLeaf, mapTree } from '../tune/index.ts'

/** What may stop a run: an `AbortSignal` is one. */
export interface StopSignal { readonly aborted: boolean }

/** Ends work that was asked to stop, by an error that says so. @example checkStop(options.signal) */
export const checkStop = (signal: StopSignal | undefined): void => {
  if (signal?.aborted === true) throw interruption()
}

/**
 * Lets whatever waits have its turn, signals and timers among it, and then ends work that was asked to stop: a target
 * may compute without ever waiting.
 * @example for (const row of rows) { await turn(signal); … }
 */
export const turn = async (signal: StopSignal | undefined): Promise<void> => {
  await nextTurn()
  checkStop(signal)
}

/** The same weights, of which none is read any more once a run was asked to stop: a large model is long in coming. */
export const stoppable = <W>(weights: W, signal: StopSignal | undefined): W =>
  // the structure stays, and each leaf is what it was
  mapTree(weights, isLazyLeaf, leaf =>
    ('read' in leaf ? { read: async () => { await turn(signal); return leaf.read() } } : leaf)) as W

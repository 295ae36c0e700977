import { SessionError } from './device.ts'

/** What may stop work: an `AbortSignal` is one. */
export interface StopSignal {
  readonly aborted: boolean
  readonly reason?: unknown
}

/** Node runs immediates after input and timers; a browser, which has none, runs timers. */
const later: (work: () => void) => unknown =
  typeof setImmediate === 'function' ? work => setImmediate(work) : work => setTimeout(work)
const immediate = (): Promise<void> => new Promise(resolve => void later(resolve))

/**
 * Lets the event loop go round once, so that timers, signals and input get their turn before work goes on: a target may
 * compute for as long as it likes without ever waiting. The first immediate may end the round that is under way, the
 * second ends a whole one.
 */
export const turn = async (): Promise<void> => {
  await immediate()
  await immediate()
}

/** Throws the reason of a signal that was aborted. */
export const throwIfAborted = (signal: StopSignal | undefined): void => {
  if (signal?.aborted === true)
    throw signal.reason instanceof Error ? signal.reason : new SessionError('stopped by its signal')
}

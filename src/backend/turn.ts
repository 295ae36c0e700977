import { SessionError } from './device.ts'

/** A signal that stops work, such as an `AbortSignal`. */
export interface StopSignal {
  readonly aborted: boolean
  readonly reason?: unknown
}

/** Schedules work: Node runs immediates after input and timers; a browser, which has none, runs timers. */
const later: (work: () => void) => unknown =
  typeof setImmediate === 'function' ? work => setImmediate(work) : work => setTimeout(work)
const immediate = (): Promise<void> => new Promise(resolve => void later(resolve))

/**
 * Lets the event loop complete a round, so that timers, signals and input are handled before work goes on: a target may
 * compute for any length of time without ever waiting. The first immediate may end the current round, the second ends a
 * whole one.
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

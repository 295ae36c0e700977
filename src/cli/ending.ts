import { constants } from 'node:os'
import { codeOf, isInterruption, oneLine, reasonOf } from '../host/index.ts'
import type { Context } from './context.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof signals)[number]

/** Signals that come within this time are one: npm hands on what the terminal has sent to both. */
const togetherMilliseconds = 100

/** The exit code of a process that a signal has ended, as shells have it. */
const codeOfSignal = (signal: Signal): number => 128 + constants.signals[signal]

/** What the system says where nobody reads any more: a pipe, a terminal that is gone, a connection. */
const closedCodes: readonly string[] = ['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED']

/** How a process ends: by a signal, by an output that fails, by an error, or by itself. */
export interface Ending extends Pick<Context, 'interrupted' | 'exit'> {
  /** Aborted when the user interrupts. */
  readonly stopped: AbortSignal
  /** Says the error in one sentence, if it is one, and sets the exit code. */
  failed(error: unknown): void
  /** Sets the exit code of a command that came to its end. */
  done(): void
}

/**
 * Watches over the end of this process. A command that asks for `interrupted` saves what it has at the first signal,
 * and a second one ends the process at once; any other is ended by the first. An output that is closed or full never
 * throws: nobody reads a closed one, so a command that has nothing to save ends quietly, and of a full one standard
 * error tells.
 * @example const ending = watchEnding()
 */
export const watchEnding = (): Ending => {
  const stopping = new AbortController()
  let lasting = false
  let needsOutput = true
  let by: Signal | undefined
  let broken = false

  const onSignal = (first: Signal): void => {
    if (by !== undefined) return
    by = first
    stopping.abort()
    const at = performance.now()
    const again = (signal: Signal): void => {
      if (performance.now() - at > togetherMilliseconds) process.exit(codeOfSignal(signal))
    }
    for (const signal of signals) process.off(signal, onSignal).on(signal, again)
    // then a signal ends the process even while it computes; one that waits to be seen is seen before
    const release = (): void => {
      for (const signal of signals) process.off(signal, again)
    }
    setTimeout(() => setImmediate(release), togetherMilliseconds + 50).unref()
  }

  const onOutputError = (error: unknown): void => {
    if (broken) return
    broken = true
    const closed = closedCodes.includes(codeOf(error) ?? '')
    if (!closed) {
      process.stderr.write(`partensor: standard output: ${reasonOf(error)}\n`)
      process.exitCode = 1
    }
    if (!lasting) process.exit()
    if (needsOutput) stopping.abort()
  }
  process.stdout.on('error', onOutputError)
  // there is nobody to tell
  process.stderr.on('error', () => undefined)

  return {
    stopped: stopping.signal,
    interrupted: command => {
      lasting = true
      needsOutput = command.needsOutput
      for (const signal of signals) process.on(signal, onSignal)
      if (broken && needsOutput) stopping.abort()
      return stopping.signal
    },
    exit: code => {
      process.exitCode = code
    },
    failed: error => {
      // whoever closes the output has what he wants
      if (isInterruption(error) && by === undefined) return
      process.stderr.write(`partensor: ${oneLine(error instanceof Error ? error.message : String(error))}\n`)
      if (process.env['PARTENSOR_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`)
      process.exitCode = by !== undefined && isInterruption(error) ? codeOfSignal(by) : 1
    },
    done: () => {
      if (by !== undefined) process.exitCode = codeOfSignal(by)
    },
  }
}

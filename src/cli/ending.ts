import { constants } from 'node:os'
import { codeOf, isInterruption, oneLine, reasonOf } from '../text/index.ts'
import type { Context } from './context.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof signals)[number]

/**
 * The milliseconds within which several signals count as one: npm passes on the signal that the terminal has already
 * sent to both.
 */
const togetherMilliseconds = 100

/** The exit code of a process that a signal ended, as shells define it. */
const codeOfSignal = (signal: Signal): number => 128 + constants.signals[signal]

/** The error codes of an output that nobody reads any more: a pipe, a closed terminal, a connection. */
const closedCodes: readonly string[] = ['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED']

/** The ways in which a process ends: by a signal, by an output that fails, by an error, or by itself. */
export interface Ending extends Pick<Context, 'interrupted' | 'exit'> {
  /** Aborted when the user interrupts. */
  readonly stopped: AbortSignal
  /** Prints the error in one sentence, unless it is a mere interruption, and sets the exit code. */
  failed(error: unknown): void
  /** Sets the exit code of a command that ran to its end. */
  done(): void
}

/**
 * Handles the end of this process. A command that has called `interrupted` saves its work at the first signal, and a
 * second signal ends the process at once; any other command ends at the first signal. An output that is closed or full
 * never throws: nobody reads a closed one, so a command that has nothing to save ends quietly; a full one is reported
 * on standard error.
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
    // from then on, a signal ends the process even while it computes; signals that are already pending are handled
    // first
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
  // nobody is left to read an error
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
      // whoever closed the output has read enough
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

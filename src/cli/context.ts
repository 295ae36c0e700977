import { oneLine } from '../host/index.ts'
import type { FinetuneOptions, Terminal } from '../program/index.ts'

/** What ends a command early, beside its user: nobody reads its standard output any more. */
export interface Lasting {
  /** Whether the command is done as soon as its output is not read. One that saves its result goes on. */
  readonly needsOutput: boolean
}

/** What a command line runs against. */
export interface Context extends Terminal {
  /**
   * A signal that is aborted when the user interrupts, or the system ends the process, so that the command can save and
   * tidy up. Until it is asked for, either ends the process at once, and so does an output that nobody reads.
   */
  interrupted(lasting: Lasting): AbortSignal
  exit(code: number): void
  /** Runs this command line with other arguments in a process of its own, which ends with this one. */
  run(
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}
export interface Json {
  readonly json?: true
}

/** Tells people what they should know. What it quotes stays on its line. */
export const warn = ({ err }: Pick<Terminal, 'err'>, message: string): void => {
  err.write(`warning: ${oneLine(message)}\n`)
}

type Told = Pick<FinetuneOptions, 'onTarget' | 'onWarning'>
/** Tells which target `auto` has taken, and why, to people and not to programs; and to both what they should know. */
export const telling = (terminal: Terminal, json: true | undefined): Told => ({
  onWarning: message => {
    warn(terminal, message)
  },
  ...(json
    ? {}
    : {
        onTarget: (target: string, reason: string) => {
          terminal.err.write(`target: ${target} (${reason})\n`)
        },
      }),
})

/** The same, and a JSON line of a result has the warnings in it. */
export const listening = (terminal: Terminal, json: true | undefined) => {
  const warnings: string[] = []
  const told = telling(terminal, json)
  return {
    told: {
      ...told,
      onWarning: (message: string): void => {
        warnings.push(message)
        told.onWarning?.(message)
      },
    },
    line: (result: object): string => `${JSON.stringify(warnings.length > 0 ? { ...result, warnings } : result)}\n`,
  }
}

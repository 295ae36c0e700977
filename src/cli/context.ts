import { oneLine } from '../text/index.ts'
import type { FinetuneOptions, Terminal } from '../program/index.ts'

/** A condition that ends a command early, in addition to its user: nobody reads its standard output any more. */
export interface Lasting {
  /** True if the command is pointless once its output is not read. A command that saves its result goes on. */
  readonly needsOutput: boolean
}

/** The environment that a command line runs in. */
export interface Context extends Terminal {
  /**
   * A signal that is aborted when the user interrupts or the system ends the process, so that the command can save and
   * clean up. Until a command calls this, either ends the process at once, and so does an output that nobody reads.
   */
  interrupted(lasting: Lasting): AbortSignal
  exit(code: number): void
  /** Runs this command line with other arguments in a child process, which ends with this one. */
  run(
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}
export interface Json {
  readonly json?: true
}

/** Prints a warning for people. Text that it quotes stays on its line. */
export const warn = ({ err }: Pick<Terminal, 'err'>, message: string): void => {
  err.write(`warning: ${oneLine(message)}\n`)
}

type Told = Pick<FinetuneOptions, 'onTarget' | 'onWarning'>
/**
 * Callbacks for a command: the target that `auto` chose, and why, is printed for people but not for programs; warnings
 * are printed for both.
 */
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

/** The same callbacks, and a JSON line of a result that includes the warnings. */
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

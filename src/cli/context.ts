import type { FinetuneOptions, Terminal } from '../train/index.ts'

/** What a command line runs against. */
export interface Context extends Terminal {
  /** A signal that is aborted when the user interrupts; until it is asked for, an interrupt ends the process. */
  interrupted(): AbortSignal
  exit(code: number): void
  /** Runs this command line with other arguments in a process of its own. */
  run(args: readonly string[]): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}
export interface Json { readonly json?: true }

/** Tells which target `auto` has taken, and why, to people and not to programs; and to both what they should know. */
export const telling = ({ err }: Terminal, json: true | undefined): Pick<FinetuneOptions, 'onTarget' | 'onWarning'> => ({
  onWarning: message => { err.write(`warning: ${message}\n`) },
  ...(json ? {} : { onTarget: (target: string, reason: string) => { err.write(`target: ${target} (${reason})\n`) } }),
})

import type { Context } from '../../src/cli/context.ts'

/** The surroundings of a command line of which nothing runs. */
export const nothing: Context = {
  out: { write: () => true },
  err: { write: () => true },
  exit: () => undefined,
  interrupted: () => new AbortController().signal,
  run: () => Promise.reject(new Error('nothing runs')),
}

import { SessionError } from '../device.ts'

/** The failure of a graph while it ran. */
export interface Failure {
  readonly error: SessionError
  /** True if the inputs were at fault, which a graph reads before it changes anything. */
  readonly ofInput: boolean
}

/**
 * One sentence from TensorFlow's message, which has many lines with names of nodes.
 * @example failureOf('step', new Error('indices[0] = 320 is not in [0, 320)')).error.message // 'index 320 is not below 320'
 */
export const failureOf = (question: string, error: unknown): Failure => {
  const text = error instanceof Error ? error.message : String(error)
  const [, index, size] =
    /= (-?\d+) is not in \[0, (\d+)\)/.exec(text) ??
    /= \[(-?\d+)\] does not index into shape \[(\d+)/.exec(text) ??
    /= \[\d+, ?(-?\d+)\] does not index into shape \[\d+, ?(\d+)\]/.exec(text) ??
    []
  if (index !== undefined)
    return {
      error: new SessionError(`index ${index} is not ${index.startsWith('-') ? 'above -1' : `below ${size}`}`, {
        cause: error,
      }),
      ofInput: true,
    }
  if (/\bOOM\b|[Rr]esource exhausted/.test(text)) {
    return {
      error: new SessionError(`there was too little memory for ${question}: take a smaller batch or shorter rows`, {
        cause: error,
      }),
      ofInput: false,
    }
  }
  return {
    error: new SessionError(
      `TensorFlow could not run ${question}: ${text.split('\n')[0]!.replace(/\s*\[\[\{\{.*$/, '')}`,
      { cause: error },
    ),
    ofInput: false,
  }
}

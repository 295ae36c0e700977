import type { Plan, Traits } from '../compile/index.ts'
import type { DType, Shape, Value } from '../tensor/index.ts'
import type { Awaitable } from './work.ts'

/** A value's data without the names of its dims. */
export interface Buffer {
  readonly sizes: readonly number[]
  readonly dtype: DType
  readonly data: Value<Shape, DType>['data']
}

/**
 * The bytes from which a target that runs plans computes a value of a loss in pieces, and the rows of a piece: below it
 * a step is no faster or smaller for it.
 */
export const pieces: NonNullable<Traits['chunk']> = { largest: 2 ** 25, rows: 128 }

/**
 * A target from a session's point of view: it holds buffers behind handles and runs plans. Everything else belongs to
 * the session.
 */
export interface Device<H> {
  /** The target's name with its distinguishing settings, such as `tfjs wasm, 2 threads`. */
  readonly name: string
  readonly traits: Traits
  /** Reserves room for `bytes` more bytes at once, if that helps. */
  readonly reserve?: (bytes: number) => void
  /** The most bytes that a session may hold, if there is such a limit. */
  readonly limit: number | undefined
  readonly upload: (buffer: Buffer) => H
  readonly download: (handle: H) => Promise<Buffer>
  readonly free: (handle: H) => void
  /** True until a handle is freed, or used up by a run. */
  readonly isHeld: (handle: H) => boolean
  /**
   * Runs a plan on handles; donated inputs are used up. A failing run leaves no buffers of its own behind, and may have
   * used up donated inputs. It returns a promise only if it had to wait for numbers that an op reads on the host.
   */
  readonly run: (plan: Plan, inputs: readonly H[], size: (dim: string | number) => number) => Awaitable<readonly H[]>
  /** Bytes held now, as the target's runtime counts them. */
  readonly bytes: () => number
  readonly dispose: () => Promise<void>
}

/** A device that never has to wait. */
export interface PromptDevice<H> extends Device<H> {
  readonly run: (...of: Parameters<Device<H>['run']>) => readonly H[]
}

/**
 * A refusal of a session or of `compile`: one sentence that a user can act on.
 * @example if (error instanceof SessionError) console.error(error.message)
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
}

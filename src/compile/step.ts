import type { Apply, Focus, Fn, Tuned } from '../tune/index.ts'
import type { Tensor } from '../tensor/index.ts'

/** The pure training step: the trained parts, and the rule that turns a gradient into an update. A session runs it. */
export interface Step<
  in out P,
  in out Q,
  in out M,
  in out S,
  in out B,
  in out O,
  in K extends string = never,
  U = unknown,
> {
  readonly tuned: Tuned<P, Q, M, B, O, K, U>
  /** The seed of what the model drops out during training; by default that of the method, if it draws, or 0. */
  readonly seed?: number
  /** The optimizer's state before the first update, symbolic. */
  readonly state: S
  /** Checks new numbers of settings that are in the state. Throws a `RangeError`. */
  readonly check?: (settings: Readonly<Record<string, number>>) => void
  /** (gradient, state, focus, mean loss) => (updates, next state) */
  readonly update: (
    gradient: Focus<Q, M>,
    state: S,
    focus: Focus<Q, M>,
    value: Tensor<readonly []>,
  ) => readonly [Focus<Q, M>, S]
}

export type StateOf<F extends Fn, Q, M> = Apply<F, Focus<Q, M>>

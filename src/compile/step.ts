import type { Apply, Focus, Fn, Tuned } from '../tune/index.ts'
import type { Shape, Tensor } from '../tensor/index.ts'

/** The pure training step: the trained parts, and the rule that turns a gradient into an update. A session runs it. */
export interface Step<P, Q, M, S, B, L extends Shape> {
  readonly tuned: Tuned<P, Q, M, B, L>
  /** The optimizer's state before the first update, symbolic. */
  readonly state: S
  /** (gradient, state, focus, mean loss) => (updates, next state) */
  readonly update: (
    gradient: Focus<Q, M>,
    state: S,
    focus: Focus<Q, M>,
    value: Tensor<readonly []>,
  ) => readonly [Focus<Q, M>, S]
}

export type StateOf<F extends Fn, Q, M> = Apply<F, Focus<Q, M>>

import { u } from '../../tensor/index.ts'
import { combine, zerosLike } from './leafwise.ts'
import { setting, type Setting } from './setting.ts'
import type { Fn, Transform } from './transform.ts'

/** The state of {@link trace}: a running sum for each leaf of the focus. */
export interface TraceState<G> {
  readonly trace: G
}
export interface Trace extends Fn {
  readonly out: TraceState<this['in']>
}

/**
 * Momentum: m ← g + decay · m; the update is m, or with Nesterov's correction g + decay · m.
 * Source: `optax.trace`; Polyak 1964, Sutskever et al. 2013.
 * @example chain(trace({ decay: 0.9 }), scale(-0.1))
 */
export const trace = ({
  decay,
  nesterov = false,
}: {
  readonly decay: Setting
  readonly nesterov?: boolean
}): Transform<Trace> => (
  setting('the decay of momentum', decay, { from: 0, to: 1 }),
  {
    init: params => ({ trace: zerosLike(params) }),
    update: (grad, state) => {
      const follow = (m: typeof grad): typeof grad => combine((g, old) => u.add(g, u.mul(old!, decay)), grad, m)
      const next = follow(state.trace)
      return [nesterov ? follow(next) : next, { trace: next }]
    },
  }
)

import { integer, u } from '../../tensor/index.ts'
import { adamDefaults, momentSettings, type Adam, type ScaleByAdam } from './adam.ts'
import { descent } from './descent.ts'
import { combine, zerosLike } from './leafwise.ts'
import { correction, counted, follow, over, type Moments } from './moment.ts'
import type { LearningRate } from './schedule.ts'
import type { Transform } from './transform.ts'

/**
 * m ← b1 m + (1 − b1) g, v ← max(b2 v, |g| + eps); the update is m̂ / v. Its state is that of Adam, with the largest
 * gradients in the place of their squares. Source: `optax.scale_by_adamax`; Kingma and Ba 2015, algorithm 2.
 * @example chain(scaleByAdamax(), scaleByLearningRate(2e-3))
 */
export const scaleByAdamax = ({
  b1 = adamDefaults.b1,
  b2 = adamDefaults.b2,
  eps = adamDefaults.eps,
}: Moments = {}): Transform<ScaleByAdam> => {
  momentSettings('adamax', { b1, b2, eps })
  return {
    init: params => ({ mu: zerosLike(params), nu: zerosLike(params), count: integer(0) }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const mu = follow(b1, state.mu, grad)
      const nu = combine((v, g) => u.maximum(u.mul(v, b2), u.add(u.abs(g!), eps)), state.nu, grad)
      return [combine((m, v) => u.div(m, v!), over(mu, correction(b1, n)), nu), { mu, nu, count }]
    },
  }
}

/** Adamax: {@link scaleByAdamax}, then −lr. Source: `optax.adamax`. @example adamax({ lr: 2e-3 }) */
export const adamax = <L extends LearningRate>({ lr, ...moments }: Moments & { readonly lr: L }): Transform<Adam<L>> =>
  descent(scaleByAdamax(moments), lr)

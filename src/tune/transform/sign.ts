import { u } from '../../tensor/index.ts'
import { descent, type Descent } from './descent.ts'
import { axesOf, combine, meanOver } from './leafwise.ts'
import type { LearningRate } from './schedule.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

/** The sign of each number. Source: `optax.scale_by_sign`. @example chain(trace({ decay: 0.9 }), scaleBySign, scale(-1e-4)) */
export const scaleBySign: Transform<Stateless> = stateless(grad => combine(u.sign, grad))

/** −lr · sign(g). Source: `optax.sign_sgd`; Bernstein et al. 2018. @example signSgd({ lr: 1e-4 }) */
export const signSgd = <L extends LearningRate>({ lr }: { readonly lr: L }): Transform<Descent<Stateless, L>> =>
  descent(scaleBySign, lr)

/**
 * g minus its mean over all axes but the first, for leaves of two or more axes. Source: `optax.centralize`; Yong et al.
 * 2020.
 * @example chain(centralize, sgd({ lr: 0.1 }))
 */
export const centralize: Transform<Stateless> = stateless(grad =>
  combine(g => (g.shape.length < 2 ? g : u.sub(g, meanOver(g, axesOf(g).slice(1)))), grad),
)

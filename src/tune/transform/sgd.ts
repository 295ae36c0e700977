import { chain, type Chain } from './chain.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import { trace, type Trace } from './trace.ts'
import { identity, type Fn, type Stateless, type Transform } from './transform.ts'

export interface SgdOptions<L extends LearningRate> {
  readonly lr: L
  readonly momentum?: number
  readonly nesterov?: boolean
}
/** The state of {@link sgd}: that of momentum, followed by that of the learning rate. */
export type Sgd<M extends Fn, L extends LearningRate> = Chain<readonly [M, Rate<L>]>

/**
 * Gradient descent: −lr · g, or −lr · (momentum of g); a chain of {@link trace} and {@link scaleByLearningRate}.
 * Source: `optax.sgd`.
 * @example sgd({ lr: 0.1, momentum: 0.9, nesterov: true })
 */
export function sgd<L extends LearningRate>(
  options: SgdOptions<L> & { readonly momentum: number },
): Transform<Sgd<Trace, L>>
export function sgd<L extends LearningRate>(
  options: SgdOptions<L> & { readonly momentum?: never },
): Transform<Sgd<Stateless, L>>
export function sgd<L extends LearningRate>({ lr, momentum, nesterov = false }: SgdOptions<L>): Transform<Sgd<Fn, L>> {
  return chain<readonly [Fn, Rate<L>]>(
    momentum === undefined ? identity : trace({ decay: momentum, nesterov }),
    scaleByLearningRate(lr),
  )
}

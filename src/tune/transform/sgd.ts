import { chain, type Chain } from './chain.ts'
import { scaleByLearningRate, type Rate } from './scale.ts'
import type { LearningRate } from './schedule.ts'
import type { Setting } from './setting.ts'
import { trace, type Trace } from './trace.ts'
import { identity, type Fn, type Stateless, type Transform } from './transform.ts'

export interface SgdOptions<L extends LearningRate, M extends Setting | undefined = Setting | undefined> {
  readonly lr: L
  readonly momentum?: M
  readonly nesterov?: boolean
}
/** The state of {@link sgd}: that of momentum, followed by that of the learning rate. */
export type Sgd<M extends Fn, L extends LearningRate> = Chain<readonly [M, Rate<L>]>

/**
 * Gradient descent: −lr · g, or −lr · (momentum of g); a chain of {@link trace} and {@link scaleByLearningRate}.
 * Source: `optax.sgd`.
 * @example sgd({ lr: 0.1, momentum: 0.9, nesterov: true })
 */
export const sgd = <L extends LearningRate, M extends Setting | undefined = undefined>({
  lr,
  momentum,
  nesterov = false,
}: SgdOptions<L, M>): Transform<Sgd<M extends Setting ? Trace : Stateless, L>> => {
  const first: Transform<Fn> = momentum === undefined ? identity : trace({ decay: momentum, nesterov })
  // the conditional type makes the same distinction
  return chain<readonly [M extends Setting ? Trace : Stateless, Rate<L>]>(
    first as Transform<M extends Setting ? Trace : Stateless>,
    scaleByLearningRate(lr),
  )
}

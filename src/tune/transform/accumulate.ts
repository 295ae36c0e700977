import { add, cast, equal, integer, u, type Node } from '../../tensor/index.ts'
import { choose, combine, zerosLike } from './leafwise.ts'
import { setting } from './setting.ts'
import { checksOf, type Apply, type Count, type Fn, type Transform } from './transform.ts'

/**
 * The state of {@link accumulate}: the number of gradients averaged since the last step, their mean, and the
 * transform's own state.
 */
export interface AccumulateState<F extends Fn, G> {
  readonly count: Count
  readonly mean: G
  readonly inner: Apply<F, G>
}
export interface Accumulate<F extends Fn> extends Fn {
  readonly out: AccumulateState<F, this['in']>
}

/**
 * Steps once in `every` updates, on the mean of their gradients: k counts them, mean ← mean + (g − mean) / (k + 1); all
 * other updates are 0. Source: `optax.MultiSteps`. If the counts of the micro-batches differ, sum them in the training
 * step instead, which divides once.
 * @example accumulate(adamw({ lr: 1e-4 }), 4)
 */
export const accumulate = <F extends Fn>(transform: Transform<F>, every: number): Transform<Accumulate<F>> => (
  setting('accumulate: every', every, { from: 1, whole: true }),
  {
    ...checksOf(transform),
    init: params => ({ count: integer(0), mean: zerosLike(params), inner: transform.init(params) }),
    update: (grad, state, params) => {
      const count = add(state.count, integer(1))
      const last = equal(count, integer(every))
      const mean = combine((m, g): Node => u.add(m, u.div(u.sub(g!, m), cast(count, 'f32'))), state.mean, grad)
      const [updates, inner] = transform.update(mean, state.inner, params)
      const zeros = zerosLike(grad)
      return [
        choose(last, updates, zeros),
        {
          count: choose(last, integer(0), count),
          mean: choose(last, zeros, mean),
          inner: choose(last, inner, state.inner),
        },
      ]
    },
  }
)

import { integer, u } from '../../tensor/index.ts'
import { combine, zerosLike } from './leafwise.ts'
import { correction, counted, follow, over } from './moment.ts'
import { setting, type Setting } from './setting.ts'
import { checksOf, type Apply, type Count, type Fn, type Transform } from './transform.ts'

/** The state of {@link ema}: a mean for each leaf of the focus, and the number of updates. */
export interface EmaState<G> {
  readonly mean: G
  readonly count: Count
}
export interface Ema extends Fn {
  readonly out: EmaState<this['in']>
}
/**
 * m ← decay m + (1 − decay) g; the update is m / (1 − decayⁿ), or m itself if `debias` is false. Source: `optax.ema`.
 * @example chain(ema({ decay: 0.9 }), sgd({ lr: 0.1 }))
 */
export const ema = ({
  decay,
  debias = true,
}: {
  readonly decay: Setting
  readonly debias?: boolean
}): Transform<Ema> => (
  setting('ema: decay', decay, { from: 0, below: 1 }),
  {
    init: params => ({ mean: zerosLike(params), count: integer(0) }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const mean = follow(decay, state.mean, grad)
      return [debias ? over(mean, correction(decay, n)) : mean, { mean, count }]
    },
  }
)

/** The state of {@link averageWeights}: what is added to the present parameters to make their mean. */
export interface AverageWeightsState<F extends Fn, G> {
  readonly offset: G
  readonly inner: Apply<F, G>
}
export interface AverageWeights<F extends Fn> extends Fn {
  readonly out: AverageWeightsState<F, this['in']>
}
/**
 * Keeps an exponential mean of the parameters beside a transform, which makes the updates: w̄ ← decay w̄ + (1 − decay) w
 * after every update, from the first parameters on. The state has w̄ − w, so it begins at zero, and `applyUpdates(focus,
 * state.offset)` is the mean. Source: `optax.incremental_update`; Polyak and Juditsky 1992.
 * @example averageWeights(adamw({ lr: 1e-4 }), { decay: 0.999 })
 */
export const averageWeights = <F extends Fn>(
  transform: Transform<F>,
  { decay }: { readonly decay: Setting },
): Transform<AverageWeights<F>> => (
  setting('averageWeights: decay', decay, { from: 0, below: 1 }),
  {
    ...checksOf(transform),
    init: params => ({ offset: zerosLike(params), inner: transform.init(params) }),
    update: (grad, state, params, evaluated) => {
      const [updates, inner] = transform.update(grad, state.inner, params, evaluated)
      return [updates, { offset: combine((d, x) => u.mul(u.sub(d, x!), decay), state.offset, updates), inner }]
    },
  }
)

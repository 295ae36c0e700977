import { add, equal, integer, maximum, u } from '../../tensor/index.ts'
import { globalNorm } from './clip.ts'
import { choose, combine, zerosLike } from './leafwise.ts'
import { rest, setting, type Setting } from './setting.ts'
import { applyUpdates, checksOf, type Apply, type Count, type Fn, type Transform } from './transform.ts'

// Transforms that come back to parameters which they have left: the state has those minus the present ones.

/** The state of {@link lookahead} and {@link sam}: updates since the return, what leads back, and the inner state. */
export interface ReturningState<F extends Fn, G> {
  readonly count: Count
  readonly offset: G
  readonly inner: Apply<F, G>
}
export interface Returning<F extends Fn> extends Fn {
  readonly out: ReturningState<F, this['in']>
}

const minus = <G>(a: G, b: G): G => combine((x, y) => u.sub(x, y!), a, b)

export interface LookaheadOptions {
  /** The number of updates from one return to the next. */
  readonly every: number
  /** The part of the way that the slow parameters go: 0 for none, 1 for all of it. */
  readonly rate: Setting
}
/**
 * Lets a transform go ahead for `every` updates, then goes back to the slow parameters, and from there a part of the
 * way: s ← s + rate (w − s), w ← s. Source: `optax.lookahead`; Zhang et al. 2019.
 * @example lookahead(adamw({ lr: 1e-3 }), { every: 5, rate: 0.5 })
 */
export const lookahead = <F extends Fn>(
  transform: Transform<F>,
  { every, rate }: LookaheadOptions,
): Transform<Returning<F>> => (
  setting('lookahead: every', every, { from: 1, whole: true }),
  setting('lookahead: rate', rate, { from: 0, to: 1 }),
  {
    ...checksOf(transform),
    init: params => ({ count: integer(0), offset: zerosLike(params), inner: transform.init(params) }),
    update: (grad, state, params, evaluated) => {
      const count = add(state.count, integer(1))
      const returns = equal(count, integer(every))
      const [updates, inner] = transform.update(grad, state.inner, params, evaluated)
      const offset = minus(state.offset, updates)
      return [
        choose(
          returns,
          combine((x, d) => u.add(x, u.mul(d!, rest(rate))), updates, offset),
          updates,
        ),
        {
          count: choose(returns, integer(0), count),
          offset: choose(returns, zerosLike(offset), offset),
          inner,
        },
      ]
    },
  }
)

/**
 * Sharpness-aware minimisation: one update goes up by `radius` along the gradient, the next goes back and applies the
 * transform to the gradient up there. Make an even number of updates: after an odd one the parameters are those above.
 * Source: `optax.contrib.sam`; Foret et al. 2021.
 * @example sam(sgd({ lr: 0.1 }), { radius: 0.05 })
 */
export const sam = <F extends Fn>(
  transform: Transform<F>,
  { radius }: { readonly radius: Setting },
): Transform<Returning<F>> => (
  setting('sam: radius', radius, { above: 0 }),
  {
    ...checksOf(transform),
    init: params => ({ count: integer(0), offset: zerosLike(params), inner: transform.init(params) }),
    update: (grad, state, params, evaluated) => {
      const returns = equal(state.count, integer(1))
      // a gradient of zeros has no direction
      const norm = maximum(globalNorm(grad), 1e-30)
      const up = combine(g => u.mul(u.div(g, norm), radius), grad)
      const [updates, inner] = transform.update(grad, state.inner, applyUpdates(params, state.offset), evaluated)
      return [
        choose(returns, applyUpdates(state.offset, updates), up),
        {
          count: choose(returns, integer(0), integer(1)),
          offset: choose(returns, zerosLike(up), minus(state.offset, up)),
          inner: choose(returns, inner, state.inner),
        },
      ]
    },
  }
)

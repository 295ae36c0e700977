import { div, maximum, scalar, sqrt, typed, u, type Tensor } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { axesOf, combine, rmsOf } from './leafwise.ts'
import { negative, setting, type Setting } from './setting.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

/** min(max(g, −limit), limit), element by element. Source: `optax.clip`. @example clipByValue(1) */
export const clipByValue = (given: Setting): Transform<Stateless> => {
  const limit = setting('clipByValue: the limit', given, { above: 0 })
  return stateless(grad => combine(g => u.minimum(u.maximum(g, negative(limit)), limit), grad))
}

/** √Σ g², over every element of every leaf; 0 for a tree without leaves. Source: `optax.global_norm`. */
export const globalNorm = (tree: unknown): Tensor<readonly []> => {
  const squares = tensorsOf(tree).map(([, g]) => u.sum(u.mul(g, g), axesOf(g)))
  return squares.length === 0 ? sqrt(scalar(0)) : typed(u.sqrt(squares.reduce(u.add)))
}

/**
 * g · limit / max(‖g‖, limit), with the norm over the whole focus: unchanged while ‖g‖ ≤ limit.
 * Source: `optax.clip_by_global_norm`; Pascanu et al. 2013.
 * @example chain(clipByGlobalNorm(1), adamw({ lr: 1e-4 }))
 */
export const clipByGlobalNorm = (given: Setting): Transform<Stateless> => {
  const limit = setting('clipByGlobalNorm: the limit', given, { above: 0 })
  return stateless(grad => {
    const factor = div(typeof limit === 'number' ? scalar(limit) : limit, maximum(globalNorm(grad), limit))
    return combine(g => u.mul(g, factor), grad)
  })
}

/**
 * g / max(1, rms(g) / limit), leaf by leaf, with rms the root of the mean square. Source: `optax.clip_by_block_rms`.
 * @example clipByRms(1)
 */
export const clipByRms = (given: Setting): Transform<Stateless> => {
  const limit = setting('clipByRms: the limit', given, { above: 0 })
  return stateless(grad => combine(g => u.div(g, u.maximum(u.div(rmsOf(g), limit), 1)), grad))
}

import {
  div,
  maximum,
  minimum,
  plus,
  scalar,
  sqrt,
  summed,
  times,
  typed,
  type Node,
  type Tensor,
} from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { combine } from './leafwise.ts'
import { setting } from './setting.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

/** min(max(g, −limit), limit), element by element. Source: `optax.clip`. @example clip(1) */
export const clip = (given: number): Transform<Stateless> => {
  const limit = setting('clip: the limit', given, { above: 0 })
  return stateless(grad => combine(g => minimum(maximum(typed<[], 'f32'>(g), -limit), limit), grad))
}

/** √Σ g², over every element of every leaf; 0 for a tree without leaves. Source: `optax.global_norm`. */
export const globalNorm = (tree: unknown): Tensor<readonly []> => {
  const squares = tensorsOf(tree).map(([, g]) =>
    summed(
      times(g, g),
      g.shape.map((_, axis) => axis),
    ),
  )
  return sqrt(
    typed(
      squares.reduce<Node | undefined>((total, square) => (total ? plus(total, square) : square), undefined) ??
        scalar(0),
    ),
  )
}

/**
 * g · limit / max(‖g‖, limit), with the norm over the whole focus: unchanged while ‖g‖ ≤ limit.
 * Source: `optax.clip_by_global_norm`; Pascanu et al. 2013.
 * @example chain(clipByGlobalNorm(1), adamw({ lr: 1e-4 }))
 */
export const clipByGlobalNorm = (given: number): Transform<Stateless> => {
  const limit = setting('clipByGlobalNorm: the limit', given, { above: 0 })
  return stateless(grad => {
    const factor = div(scalar(limit), maximum(globalNorm(grad), limit))
    return combine(g => times(g, factor), grad)
  })
}

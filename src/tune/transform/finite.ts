import { add, equal, integer, less, or, scalar, select, typed, u, type Node, type Tensor } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { axesOf, choose, combine, zerosLike } from './leafwise.ts'
import { setting } from './setting.ts'
import { checksOf, stateless, type Apply, type Count, type Fn, type Stateless, type Transform } from './transform.ts'

/**
 * 0 in the place of NaN. A session refuses a step whose loss or gradient is not finite, so in a training step this is
 * for what other transforms make. Source: `optax.zero_nans`.
 * @example chain(zeroNaNs, adamw({ lr: 1e-4 }))
 */
export const zeroNaNs: Transform<Stateless> = stateless(grad => combine(g => u.select(u.notEqual(g, g), 0, g), grad))

/** The number of elements that are no finite numbers. */
const wrongIn = (tree: unknown): Tensor<readonly []> => {
  const counts = tensorsOf(tree).map(([, x]): Node => {
    // infinities and NaN minus themselves are NaN
    const difference = u.sub(x, x)
    return u.sum(u.cast(u.notEqual(difference, difference), 'f32'), axesOf(x))
  })
  return typed(counts.reduce(u.add, scalar(0)))
}

/** The state of {@link applyIfFinite}: failures in a row, all failures, and the transform's own state. */
export interface ApplyIfFiniteState<F extends Fn, G> {
  readonly row: Count
  readonly total: Count
  readonly inner: Apply<F, G>
}
export interface ApplyIfFinite<F extends Fn> extends Fn {
  readonly out: ApplyIfFiniteState<F, this['in']>
}
/**
 * Applies a transform unless the gradient has a NaN or an infinity: then nothing is updated and its state stays. After
 * `most` such failures in a row the transform is applied anyway. Source: `optax.apply_if_finite`.
 * @example applyIfFinite(adamw({ lr: 1e-4 }), { most: 5 })
 */
export const applyIfFinite = <F extends Fn>(
  transform: Transform<F>,
  { most }: { readonly most: number },
): Transform<ApplyIfFinite<F>> => (
  setting('applyIfFinite: most', most, { from: 0, whole: true }),
  {
    ...checksOf(transform),
    init: params => ({ row: integer(0), total: integer(0), inner: transform.init(params) }),
    update: (grad, state, params, evaluated) => {
      const [updates, inner] = transform.update(grad, state.inner, params, evaluated)
      const isFinite = equal(wrongIn(grad), 0)
      const failures = add(state.row, integer(1))
      const applies = or(isFinite, less(integer(most), failures))
      return [
        choose(applies, updates, zerosLike(updates)),
        {
          row: select(isFinite, integer(0), failures),
          total: add(state.total, select(isFinite, integer(0), integer(1))),
          inner: choose(applies, inner, state.inner),
        },
      ]
    },
  }
)

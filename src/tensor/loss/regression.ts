import { typed, type Tensor } from '../node.ts'
import { u } from '../op/untyped.ts'
import type { Shape } from '../shape/index.ts'

/** |predictions − targets|, element by element. @example loss.absoluteError(predictions, targets) */
export const absoluteError = <S extends Shape>(predictions: Tensor<S>, targets: Tensor<S>): Tensor<S> =>
  typed(u.abs(u.sub(predictions, targets)))

/**
 * Half the square of an error up to `delta` (default 1), beyond it the straight line that continues it, element by
 * element (Huber 1964); like `optax.huber_loss` and PyTorch's `huber_loss`.
 * @throws {RangeError} unless delta is above 0
 * @example loss.huber(predictions, targets, { delta: 0.5 })
 */
export const huber = <S extends Shape>(
  predictions: Tensor<S>,
  targets: Tensor<S>,
  { delta = 1 }: { readonly delta?: number } = {},
): Tensor<S> => {
  if (!(delta > 0 && Number.isFinite(delta))) throw new RangeError(`huber: delta is ${delta}: it is above 0`)
  const error = u.abs(u.sub(predictions, targets))
  const inner = u.minimum(error, delta)
  return typed(u.mul(inner, u.sub(error, u.mul(inner, 0.5))))
}

import { add, cast, div, integer, log, mul, scalar, tanh, u, type Tensor } from '../../tensor/index.ts'
import { combine } from './leafwise.ts'
import { rest, type Setting } from './setting.ts'
import type { Count } from './transform.ts'

// What the transforms that remember means of gradients have in common.

type Scalar = Tensor<readonly []>

/** The settings of two means, and what keeps a divisor from 0. */
export interface Moments {
  readonly b1?: Setting
  readonly b2?: Setting
  readonly eps?: Setting
}

/** b m + (1 − b) x: the exponential mean after x. */
export const follow = <G>(b: Setting, m: G, x: G): G => combine((m, x) => u.add(u.mul(m, b), u.mul(x!, rest(b))), m, x)
/** Each number times itself. */
export const squares = <G>(tree: G): G => combine(x => u.mul(x, x), tree)
/** A tree divided by a scalar. */
export const over = <G>(tree: G, divisor: Scalar): G => combine(x => u.div(x, divisor), tree)

/** The number of updates with this one: the next count, and the same as a float. */
export const counted = (count: Count): { readonly count: Count; readonly n: Scalar } => {
  const next = add(count, integer(1))
  return { count: next, n: cast(next, 'f32') }
}

/**
 * −½ ln b. A number is rounded to float32 first, because float32 moments decay by that number, here as in optax.
 */
export const halfRate = (b: Setting): Scalar =>
  typeof b === 'number' ? scalar(-Math.log(Math.fround(b)) / 2) : mul(log(b), -0.5)

/**
 * 1 − bⁿ = 2t / (1 + t) with t = tanh(−n ln b / 2): the difference itself would lose digits in float32 while bⁿ is near
 * 1.
 */
export const correction = (b: Setting, n: Scalar): Scalar => {
  const t = tanh(mul(n, halfRate(b)))
  return div(mul(t, 2), add(t, 1))
}

import {
  abs,
  add,
  cast,
  div,
  innerProduct,
  integer,
  less,
  maximum,
  minimum,
  mul,
  scalar,
  sub,
  typed,
  u,
  type Node,
  type Tensor,
} from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { setting } from './setting.ts'
import type { Count, Fn, Transform } from './transform.ts'

type Scalar = Tensor<readonly []>

/**
 * The state of {@link monitorDescent}. All updates but the last have been checked; the effect of the last one shows at
 * the next.
 */
export interface MonitorDescentState {
  /** The number of updates so far, one more than have been checked. */
  readonly count: Count
  /** f(W) before the last update. */
  readonly value: Scalar
  /** ⟨∇P, u⟩ of the last update u: −η‖∇P‖² for gradient descent. */
  readonly directional: Scalar
  /** ‖u‖² of the last update: η²‖∇P‖² for gradient descent. */
  readonly squared: Scalar
  /** The least slack, bound − f(W⁺), of all checked updates; negative if the inequality failed. */
  readonly slack: Scalar
  /**
   * The largest 2 (f(W⁺) − f(W) − ⟨∇P, u⟩) / ‖u‖²: the least L for which the inequality holds at every checked update.
   */
  readonly curvature: Scalar
  /** Updates that raised the loss. */
  readonly ascents: Count
  /** Updates whose slack is lower than rounding explains. */
  readonly violations: Count
}
export interface MonitorDescent extends Fn {
  readonly out: MonitorDescentState
}

/** ⟨a, b⟩ for two trees with the same structure. */
const inner = (a: unknown, b: unknown): Scalar => {
  const left = tensorsOf(a)
  const right = new Map(tensorsOf(b))
  return typed(
    innerProduct(
      left.map(([, x]) => x),
      left.map(([path]) => right.get(path)!),
    ),
  )
}

/**
 * Checks the descent inequality of Theorem 1 (PaCA, Woo et al., ICLR 2025) along the run, in the form that any update u
 * obeys if ∇P is L-Lipschitz on [W, W + u]: f(W + u) ≤ f(W) + ⟨∇P, u⟩ + L/2 ‖u‖². With u = −η∇P that is f(W) − η(1 −
 * ηL/2)‖∇P‖². It changes no update and belongs last in a chain, so that it sees the updates that are added to the
 * parameters. f must be the same function at every step: over changing batches the inequality is false, and the counts
 * mean nothing. `tolerance` is the rounding error of a loss in units of |f| (default 2⁻²⁰). Throws a `RangeError` if no
 * loss is known, as inside `accumulate`.
 * @example trainStep(tuned, chain(sgd({ lr: 0.1 }), monitorDescent({ lipschitz: 4 })))
 */
export const monitorDescent = ({
  lipschitz,
  tolerance = 2 ** -20,
}: {
  readonly lipschitz: number
  readonly tolerance?: number
}): Transform<MonitorDescent> => (
  setting('monitorDescent: lipschitz', lipschitz, { from: 0 }),
  setting('monitorDescent: tolerance', tolerance, { from: 0 }),
  {
    init: () => ({
      count: integer(0),
      value: scalar(0),
      directional: scalar(0),
      squared: scalar(0),
      slack: scalar(0),
      curvature: scalar(0),
      ascents: integer(0),
      violations: integer(0),
    }),
    update: (updates, state, _, evaluated) => {
      if (evaluated === undefined)
        throw new RangeError(
          'monitorDescent: the loss of a step is not known here: put it last in the chain of the training step',
        )
      const { value, gradient } = evaluated
      const before = state.value
      const either = <T extends Node>(condition: Node, a: T, b: Node): T => u.select(condition, a, b) as T
      const checks = less(integer(0), state.count)
      const first = less(state.count, integer(2))
      const counted = (condition: Node): Count =>
        cast(either(checks, typed<readonly [], 'f32'>(u.cast(condition, 'f32')), scalar(0)), 'i32')
      // the distance of the loss above its tangent
      const above = sub(sub(value, before), state.directional)
      const slack = sub(mul(state.squared, lipschitz / 2), above)
      const needed = either(
        less(scalar(0), state.squared),
        div(mul(above, 2), either(less(scalar(0), state.squared), state.squared, scalar(1))),
        scalar(0),
      )
      const extreme = (of: (a: Scalar, b: Scalar) => Scalar, past: Scalar, now: Scalar): Scalar =>
        either(checks, either(first, now, of(past, now)), past)
      const rounding = mul(maximum(abs(value), abs(before)), tolerance)
      return [
        updates,
        {
          count: add(state.count, integer(1)),
          value,
          directional: inner(gradient, updates),
          squared: inner(updates, updates),
          slack: extreme(minimum, state.slack, slack),
          curvature: extreme(maximum, state.curvature, needed),
          ascents: add(state.ascents, counted(less(before, value))),
          violations: add(state.violations, counted(less(slack, mul(rounding, -1)))),
        },
      ]
    },
  }
)

import { add, div, integer, less, mul, select, sqrt, sub, tanh, u, type Tensor } from '../../tensor/index.ts'
import { adamDefaults, ahead, momentSettings, type Adam, type AdamOptions, type ScaleByAdam } from './adam.ts'
import { descent } from './descent.ts'
import { combine, zerosLike } from './leafwise.ts'
import { correction, counted, follow, halfRate, squares, type Moments } from './moment.ts'
import type { LearningRate } from './schedule.ts'
import { setting, type Setting } from './setting.ts'
import type { Transform } from './transform.ts'

type Scalar = Tensor<readonly []>

export interface RadamOptions extends AdamOptions {
  /** The length of the mean of squares from which on it is used. */
  readonly threshold?: Setting
}
/** The default settings of {@link radam}. */
export const radamDefaults = { ...adamDefaults, threshold: 5 } as const

/**
 * Langevin's function coth y − 1/y of a positive number: by its series below ½, where the difference would lose digits.
 */
const langevin = (y: Scalar): Scalar => {
  const square = mul(y, y)
  const series = [2 / 93555, -1 / 4725, 2 / 945, -1 / 45, 1 / 3].reduce<Scalar>(
    (sum, term) => add(mul(sum, square), term),
    mul(square, 0),
  )
  return select(less(y, 0.5), mul(series, y), sub(div(1, tanh(y)), div(1, y)))
}

/**
 * The length of the simple mean that the exponential one after n updates is like, and its limit:
 * ρ∞ = 2 / (1 − b2) − 1 and ρ = ρ∞ − 2n b2ⁿ / (1 − b2ⁿ). With y = −½ ln b2 and Langevin's function L these are
 * L(y) + 1/y and L(y) + n − n L(ny), without the difference of large numbers.
 */
const lengths = (b2: Setting, n: Scalar): readonly [rho: Scalar, limit: Scalar] => {
  const y = halfRate(b2)
  const first = langevin(y)
  return [add(first, sub(n, mul(n, langevin(mul(n, y))))), add(first, div(1, y))]
}

/**
 * Adam whose mean of squares is used once it is long enough, and then rectified: the update is r m̂ / (√v̂ + eps) if ρ is
 * at least the threshold, with r² = (ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ), and m̂ before. Source:
 * `optax.scale_by_radam`; Liu et al. 2020.
 * @example chain(scaleByRadam(), scaleByLearningRate(1e-3))
 */
export const scaleByRadam = ({
  b1 = radamDefaults.b1,
  b2 = radamDefaults.b2,
  eps = radamDefaults.eps,
  threshold = radamDefaults.threshold,
  nesterov = false,
}: RadamOptions = {}): Transform<ScaleByAdam> => {
  momentSettings('radam', { b1, b2, eps })
  setting('radam: threshold', threshold, { above: 4 })
  return {
    init: params => ({ mu: zerosLike(params), nu: zerosLike(params), count: integer(0) }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const mu = follow(b1, state.mu, grad)
      const nu = follow(b2, state.nu, squares(grad))
      const [rho, limit] = lengths(b2, n)
      const of = (x: Scalar): Scalar => div(mul(sub(x, 4), sub(x, 2)), x)
      const isLong = u.lessEqual(threshold, rho)
      // short means have no ratio: 0 stands for its square
      const ratio = sqrt(div(u.select(isLong, of(rho), 0) as Scalar, of(limit)))
      const second = correction(b2, n)
      return [
        combine(
          (m, v) => u.select(isLong, u.mul(ratio, u.div(m, u.add(u.sqrt(u.div(v!, second)), eps))), m),
          ahead(nesterov, b1, n, mu, grad),
          nu,
        ),
        { mu, nu, count },
      ]
    },
  }
}

/** RAdam: {@link scaleByRadam}, then −lr. Source: `optax.radam`; Liu et al. 2020. @example radam({ lr: 1e-3 }) */
export const radam = <L extends LearningRate>({
  lr,
  ...options
}: Moments & { readonly threshold?: Setting; readonly lr: L }): Transform<Adam<L>> => descent(scaleByRadam(options), lr)

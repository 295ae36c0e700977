import { hashName, integer, random, u } from '../../tensor/index.ts'
import { isTensor, mapTree } from '../tree.ts'
import { counted } from './moment.ts'
import { setting, type Setting } from './setting.ts'
import type { Counted, Transform } from './transform.ts'

export interface NoiseOptions {
  /** The variance of the noise at the first update. */
  readonly eta: Setting
  /** The power by which the variance falls (default: 0.55). */
  readonly gamma?: Setting
  readonly seed: number
}
/**
 * g + √(eta / nᵞ) ε with normally distributed ε, in update n from 1. The numbers follow from the seed, the update and
 * the path of the leaf, by the counter-based generator: the same ones on every target. Source: `optax.add_noise`;
 * Neelakantan et al. 2015.
 * @example chain(addNoise({ eta: 0.01, seed: 0 }), sgd({ lr: 0.1 }))
 */
export const addNoise = ({ eta, gamma = 0.55, seed }: NoiseOptions): Transform<Counted> => {
  setting('addNoise: eta', eta, { from: 0 })
  setting('addNoise: gamma', gamma, { from: 0 })
  const key = random.key(seed)
  return {
    init: () => ({ count: integer(0) }),
    update: (grad, state) => {
      const { count, n } = counted(state.count)
      const deviation = u.sqrt(u.div(eta, u.pow(n, gamma)))
      const own = random.fold(key, count)
      const noisy = mapTree(grad, isTensor, (g, path) =>
        u.add(
          g,
          u.mul(
            random.normal<readonly never[]>(own, g.shape as readonly never[], { stream: hashName(path) }),
            deviation,
          ),
        ),
      )
      // each leaf keeps its shape
      return [noisy as typeof grad, { count }]
    },
  }
}

import { plus, times } from '../../tensor/index.ts'
import { combine } from './leafwise.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

/**
 * g + rate · p: weight decay. Source: `optax.add_decayed_weights`.
 * @example masked(addDecayedWeights(0.01), { by: 'path', where: path => !path.includes('norm') })
 */
export const addDecayedWeights = (rate: number): Transform<Stateless> =>
  stateless((grad, params) => combine((g, p) => plus(g, times(p!, rate)), grad, params))

import { u } from '../../tensor/index.ts'
import { combine } from './leafwise.ts'
import { setting, type Setting } from './setting.ts'
import { stateless, type Stateless, type Transform } from './transform.ts'

/**
 * g + rate · p: weight decay. Source: `optax.add_decayed_weights`.
 * @example masked(addDecayedWeights(0.01), { by: 'path', where: path => !path.includes('norm') })
 */
export const addDecayedWeights = (given: Setting): Transform<Stateless> => {
  const rate = setting('the weight decay', given, { from: 0 })
  return stateless((grad, params) => combine((g, p) => u.add(g, u.mul(p!, rate)), grad, params))
}

import { all, maskedLeaves, type Dynamic } from '../mask.ts'
import { isTensor, mapTree } from '../tree.ts'
import type { Adapter, FaultOf, ParamsOf, Reparametrisation } from './adapter.ts'
import { targeted, UnknownTarget } from './targets.ts'

/** A method of which more is trained than its type says: what the run names. */
export interface Saving<F extends Reparametrisation> extends Reparametrisation {
  readonly params: ParamsOf<F, this['in']>
  readonly mask: Dynamic
  readonly fault: FaultOf<F, this['in']>
}

/**
 * The same method, which also trains some leaves whole: PEFT's `modules_to_save`.
 * @throws {UnknownTarget} where a module does not exist, or the method adapts it already
 * @example saving(['lm_head'])(lora({ targets: ['q_proj'], rank: 8, seed: 0 }))
 */
export const saving = (modules: readonly string[]) => <F extends Reparametrisation>(adapter: Adapter<F>): Adapter<Saving<F>> => ({
  name: adapter.name,
  apply: params => {
    const made = adapter.apply(params), whole = targeted(params, modules), masks = new Map(maskedLeaves(made.params, made.mask).map(({ path, mask }) => [path, mask]))
    const adapted = [...whole].find(path => masks.get(path)?.mask !== 'frozen')
    if (adapted !== undefined) throw new UnknownTarget(`${adapted} is adapted by ${adapter.name} and to be trained whole: name it once`)
    // an opaque mask has the structure of the tree
    return { ...made, mask: mapTree(made.params, isTensor, (_, path) => (whole.has(path) ? all : masks.get(path))) } as never
  },
})

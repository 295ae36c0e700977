import { all, maskedLeaves, type Dynamic, type MaskedLeaf } from '../mask.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Method, FaultOf, ParamsOf, Reparametrisation } from './method.ts'
import { isInside, targeted, UnknownTarget } from './targets.ts'

/** A method that trains more than its type shows: leaves that are only named at run time. */
export interface AlsoTraining<F extends Reparametrisation> extends Reparametrisation {
  readonly params: ParamsOf<F, this['in']>
  readonly mask: Dynamic
  readonly fault: FaultOf<F, this['in']>
}

/**
 * The same method, which also trains some modules whole, with everything inside them: PEFT's `modules_to_save`.
 * @throws {UnknownTarget} if a module does not exist, or the method already adapts it
 * @example saving(['lm_head'])(lora({ targets: ['q_proj'], rank: 8, seed: 0 }))
 */
export const alsoTraining =
  (modules: readonly string[]) =>
  <F extends Reparametrisation>(method: Method<F>): Method<AlsoTraining<F>> => ({
    name: method.name,
    apply: params => {
      const made = method.apply(params)
      const whole = targeted(params, modules, isInside)
      const leaves = new Map(tensorsOf(params))
      const masks = new Map<string, MaskedLeaf>()
      for (const one of maskedLeaves(made.params, made.mask)) masks.set(one.path, one)
      // a leaf at several places is one parameter
      const named = new Set([...whole].map(path => leaves.get(path)))
      const adapted = [...leaves].find(
        ([path, leaf]) =>
          named.has(leaf) && (masks.get(path)?.leaf !== leaf || masks.get(path)?.mask.mask !== 'frozen'),
      )?.[0]
      if (adapted !== undefined)
        throw new UnknownTarget(`${adapted} is adapted by ${method.name} and to be trained whole: name it once`)
      // an opaque mask has the structure of the tree
      return {
        ...made,
        mask: mapTree(made.params, isTensor, (_, path) => (whole.has(path) ? all : masks.get(path)!.mask)),
      } as never
    },
  })

import type { Node } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import { moduleOf } from './targets.ts'
import type { Method, Addition, FirstValue, Reparametrisation } from './method.ts'

/** A leaf that replaces a part of a weight, at the path of the weight's module. */
const besideModule = (path: string): string => {
  const at = path.lastIndexOf('.')
  return moduleOf(path.slice(0, Math.max(0, at))) + path.slice(at)
}

/**
 * The same method with given first values for leaves that it adds, by their path in the tree, or by that of their module
 * with their name: used to continue from an adapter.
 * @throws {RangeError} if the method adds no leaf for a value, or one of other sizes
 * @example startingFrom(new Map([['model.layers.0.self_attn.q_proj.lora_B', value]]))(lora({ targets: ['q_proj'], rank: 8, seed: 0 }))
 */
export const startingFrom =
  (values: ReadonlyMap<string, FirstValue>) =>
  <F extends Reparametrisation>(method: Method<F>): Method<F> => ({
    name: method.name,
    apply: params => {
      const made = method.apply(params)
      const paths = new Map(
        tensorsOf(made.params)
          .toReversed()
          .map(([path, leaf]) => [leaf, path]),
      )
      // among the places of a leaf, one with a given value, or the first
      for (const [path, leaf] of tensorsOf(made.params)) {
        const at = [path, besideModule(path)].find(known => values.has(known))
        if (at !== undefined) paths.set(leaf, at)
      }
      const added = new Set(made.additions.flatMap(({ leaves }) => leaves.map(leaf => paths.get(leaf))))
      const unknown = [...values.keys()].find(path => !added.has(path))
      if (unknown !== undefined) throw new RangeError(`${method.name} adds no ${unknown}`)
      const own = (leaf: Node, first: FirstValue): FirstValue => {
        const path = paths.get(leaf) ?? ''
        const value = values.get(path)
        if (value === undefined) return first
        if (value.dtype !== first.dtype || value.sizes.join() !== first.sizes.join()) {
          throw new RangeError(
            `${path} is [${value.sizes.join(', ')}] ${value.dtype}, not [${first.sizes.join(', ')}] ${first.dtype}`,
          )
        }
        return { ...value, shape: first.shape }
      }
      const starting = <G>({
        leaves,
        make,
      }: {
        readonly leaves: readonly Node[]
        readonly make: (given: G) => readonly FirstValue[]
      }) => ({ leaves, make: (given: G) => make(given).map((first, i) => own(leaves[i]!, first)) })
      const additions = made.additions.map((addition): Addition =>
        addition.of === undefined ? starting(addition) : { of: addition.of, ...starting(addition) },
      )
      return { ...made, additions }
    },
  })

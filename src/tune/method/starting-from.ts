import type { Node } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import type { Method, Addition, FirstValue, Reparametrisation } from './method.ts'

/**
 * The same method with given first values for leaves that it adds, by their path in the tree: used to continue from an
 * adapter.
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
      for (const [path, leaf] of tensorsOf(made.params)) if (values.has(path)) paths.set(leaf, path)
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

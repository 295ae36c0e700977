import { all, type All } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import { leafName, selectLeaves, type Adapter, type Reparametrisation, type Select } from './adapter.ts'

interface Full<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, All>
}

/**
 * Full fine-tuning of the leaves that targets name; `'all'` stands for every parameter.
 * @example full({ targets: ['all'] })
 */
export const full = <const T extends string>({ targets }: { readonly targets: readonly T[] }): Adapter<Full<T>> => ({
  name: 'full',
  apply: params => {
    const names = targets.some(target => target === 'all') ? tensorsOf(params).map(([path]) => leafName(path)) : targets
    // the mask has the structure that `Select` computes from the names of the leaves
    return { params, mask: selectLeaves(params, names, () => all) as never, weight: q => q, selections: [] }
  },
})

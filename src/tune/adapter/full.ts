import { all, type All } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import type { Adapter, Reparametrisation } from './adapter.ts'
import { leafwise, type Select } from './leafwise.ts'

export interface Full<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, All>
}

/**
 * Full fine-tuning of the leaves that targets name; `'all'` stands for every parameter that is a real number, and integers stay frozen.
 * @example full({ targets: ['all'] })
 */
export const full = <const T extends string>({ targets }: { readonly targets: readonly T[] }): Adapter<Full<T>> => ({
  name: 'full',
  apply: params => {
    const named = targets.filter(target => target !== 'all')
    const names = named.length === targets.length ? named : [...tensorsOf(params).flatMap(([path, { dtype }]) => (dtype === 'f32' ? [path] : [])), ...named]
    return leafwise<Full<T>, unknown>('full', names, leaf => ({ becomes: leaf, mask: all, weight: own => own as typeof leaf })).apply(params)
  },
})

import type { Node } from '../../tensor/index.ts'
import type { All, Frozen } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import type { Method, Reparametrisation } from './method.ts'
import { listed, type Select, type TargetFault, type TargetsOf } from './targets.ts'
import { trained } from './kept.ts'
import { trainedWhole } from './whole-leaves.ts'
import { method } from './record.ts'

export interface Full<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: string extends T
    ? Select<this['in'], T, All>
    : 'all' extends T
      ? Everywhere<this['in']>
      : Select<this['in'], T, All>
  readonly fault: TargetFault<this['in'], T extends 'all' ? never : T>
}
type Everywhere<P> = P extends Node
  ? P extends { readonly dtype: 'f32' }
    ? All
    : Frozen
  : { readonly [K in keyof P]: Everywhere<P[K]> }

/**
 * Full fine-tuning of the leaves that targets name; `'all'` stands for every parameter that is a real number, and
 * integers stay frozen.
 * @example full({ targets: ['all'] })
 */
export const full = <const T extends readonly string[]>({
  targets,
}: {
  readonly targets: T
}): Method<Full<TargetsOf<T>>> => ({
  name: 'full',
  apply: params => {
    const named: readonly string[] = listed(targets).filter(target => target !== 'all')
    const names =
      named.length === targets.length
        ? named
        : [...tensorsOf(params).flatMap(([path, { dtype }]) => (dtype === 'f32' ? [path] : [])), ...named]
    return trainedWhole<Full<TargetsOf<T>>>('full', names).apply(params)
  },
})

export const fullMethod = method({
  name: 'full',
  title: 'Full fine-tuning',
  trains: 'whole weights',
  paper: undefined,
  make: full,
  takes: [],
  rank: undefined,
  reach: 'every',
  targets: 'usual',
  // a matrix, a vector, the kernels of convolutions, and what is kept with axes of size 1
  tensors: [
    { values: trained('in', 'out') },
    { values: trained('out') },
    { values: trained('rows', 'columns', 'out') },
    { values: trained('rows', 'columns', 'in', 'out') },
  ],
  shared: {},
  quantizes: false,
  besides: false,
  change: 'values',
  lora: { none: 'full fine-tuning changes whole weights' },
  peft: undefined,
  inVersion1: true,
})

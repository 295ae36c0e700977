import { chooseColumns, type Node } from '../../tensor/index.ts'
import { columns, type Columns } from '../mask.ts'
import type { Method, Reparametrisation } from './method.ts'
import { inputsOf, leafwise } from './leafwise.ts'
import type { RankOf, Ranks, Select, TargetFault, TargetsOf } from './targets.ts'
import { before, chosenAmong, trained } from './kept.ts'
import { columnFactors } from './low-rank.ts'
import { method } from './record.ts'

export interface Paca<T extends string, R extends number> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, Columns<R>>
  readonly fault: TargetFault<this['in'], T>
}

export interface PacaOptions<T extends readonly string[], R extends number, K extends Ranks | undefined = Ranks> {
  /** Leaves to tune: names such as `q_proj`, or paths. */
  readonly targets: T
  /** The number of trained columns of each leaf: input features, or input channels of a convolution. */
  readonly rank: R
  /** Another rank for some leaves, by path. */
  readonly ranks?: K
  /** The seed: with the path of a leaf, it determines the selection. */
  readonly seed: number
  /** A given selection by the path of the leaf, which takes precedence over the seed's. */
  readonly selection?: ReadonlyMap<string, Int32Array>
  /** Paths of leaves that share a selection, as leaves with the same input may; see `inputGroups`. */
  readonly groups?: readonly (readonly string[])[]
}

/**
 * Partial connection adaptation (Woo et al., ICLR 2025): trains r randomly chosen columns of each pretrained weight and
 * adds nothing. The tree is the model's own, and the weight is the identity; only the mask is specific to the method.
 * @example paca({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const paca = <
  const T extends readonly string[],
  const R extends number,
  K extends Ranks | undefined = undefined,
>({
  targets,
  rank,
  ranks,
  seed,
  selection: given,
  groups = [],
}: PacaOptions<T, R, K>): Method<Paca<TargetsOf<T>, RankOf<R, K>>> => ({
  name: 'paca',
  apply: params => {
    const shared = new Map<string, Columns<number>>()
    return leafwise<Paca<TargetsOf<T>, RankOf<R, K>>, Node>('paca', targets, (leaf, path) => {
      const axis = inputsOf('paca', leaf, path)
      const count = ranks?.get(path) ?? rank
      const [first = path] = groups.find(group => group.includes(path)) ?? []
      const mask = shared.get(`${first} ${count}`) ?? columns(count)
      shared.set(`${first} ${count}`, mask)
      const choose = ({ sizes }: { readonly sizes: readonly number[] }): Int32Array =>
        given?.get(path) ?? chooseColumns(seed, first, sizes[axis]!, count)
      return {
        becomes: leaf,
        mask,
        weight: own => own,
        selections: [{ path, index: mask.index, among: 'columns', choose }],
      }
    }).apply(params)
  },
})

/** The tensors of a module whose columns are trained, with the sizes of what is trained. */
const columnsOf = (...sizes: readonly string[]) => ({
  columns: chosenAmong('columns', 'r'),
  values: trained(...sizes),
  base: before(...sizes),
})

export const pacaMethod = method({
  name: 'paca',
  title: 'PaCA',
  trains: 'some columns of each weight',
  paper: { by: 'Woo et al., ICLR 2025', url: 'https://arxiv.org/abs/2503.01905' },
  make: paca,
  takes: ['rank', 'ranks', 'seed', 'selection', 'groups'],
  rank: { default: 8, counts: 'inputs' },
  reach: 'inputs',
  targets: 'usual',
  // a column of the [out, in] weight is one row here; a convolution has input channels, over all channels or one by one
  tensors: [columnsOf('r', 'out'), columnsOf('rows', 'columns', 'r', 'out'), columnsOf('rows', 'columns', 'r')],
  shared: {},
  quantizes: true,
  besides: true,
  change: 'values',
  lora: { factors: columnFactors },
  peft: undefined,
  inVersion1: true,
})

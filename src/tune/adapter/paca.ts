import { chooseColumns } from '../../tensor/index.ts'
import { columns, type Columns } from '../mask.ts'
import { selectLeaves, type Adapter, type Reparametrisation, type Select, type IndexChoice } from './adapter.ts'

interface Paca<T extends string, R extends number> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, Columns<R>>
}

export interface PacaOptions<T extends string, R extends number> {
  /** Names of the leaves to tune, as `q_proj`. */
  readonly targets: readonly T[]
  /** How many columns (input features) of each are trained. */
  readonly rank: R
  /** The selection is reproducible from the seed and the path of the leaf. */
  readonly seed: number
  /** A selection of one's own, by the path of the leaf; it goes before the seed's. */
  readonly columns?: ReadonlyMap<string, Int32Array>
}

/**
 * Partial connection adaptation (Woo et al., ICLR 2025): trains r randomly chosen columns of each pretrained weight and adds
 * nothing. The tree is the model's own, the weight is the identity; all that is particular to the method is the mask.
 * @example paca({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const paca = <const T extends string, const R extends number>({ targets, rank, seed, columns: given }: PacaOptions<T, R>): Adapter<Paca<T, R>> => ({
  name: 'paca',
  apply: params => {
    const selections: IndexChoice[] = []
    const mask = selectLeaves(params, targets, path => {
      const column = columns(rank)
      selections.push({ path, index: column.index, choose: width => given?.get(path) ?? chooseColumns(seed, path, width, rank) })
      return column
    })
    // the mask has the structure that `Select` computes from the names of the leaves
    return { params, mask: mask as never, weight: q => q, selections }
  },
})

import { chooseColumns, type Node } from '../../tensor/index.ts'
import { entries, type Entries } from '../mask.ts'
import type { Method, Reparametrisation } from './method.ts'
import { leafwise, matrixDims } from './leafwise.ts'
import { leafName, type Select, type TargetFault, type TargetsOf } from './targets.ts'

export interface Shira<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, Entries<string>>
  readonly fault: TargetFault<this['in'], T>
}

/**
 * Sparse high-rank adaptation (Bhardwaj et al., NeurIPS 2024) with the random mask: r · (in + out) single entries of
 * each weight are trained, as many as LoRA of rank r would train, and nothing is added.
 * @example shira({ targets: ['q_proj', 'v_proj'], rank: 8, seed: 0 })
 */
export const shira = <const T extends readonly string[]>({
  targets,
  rank,
  ranks,
  seed,
  selection: given,
}: {
  readonly targets: T
  readonly rank: number
  readonly ranks?: ReadonlyMap<string, number>
  readonly seed: number
  /** Entries of one's own, counted along the flattened `[in, out]` leaf, by path. */
  readonly selection?: ReadonlyMap<string, Int32Array>
}): Method<Shira<TargetsOf<T>>> =>
  leafwise<Shira<TargetsOf<T>>, Node>('shira', targets, (leaf, path) => {
    matrixDims('shira', leaf, path)
    // how many there are is known with the sizes: until then the number has a name
    const r = ranks?.get(path) ?? rank
    const mask = entries(`shira_${r}_${leafName(path)}`)
    const choose = ({ sizes: [rows = 0, columns = 0] }: { readonly sizes: readonly number[] }): Int32Array =>
      given?.get(path) ?? chooseColumns(seed, path, rows * columns, Math.min(r * (rows + columns), rows * columns))
    return {
      becomes: leaf,
      mask,
      weight: own => own,
      selections: [{ path, index: mask.index, among: 'entries', choose }],
    }
  })

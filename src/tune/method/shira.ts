import { chooseColumns, type Node } from '../../tensor/index.ts'
import { entries, type Entries } from '../mask.ts'
import type { Method, Reparametrisation } from './method.ts'
import { leafwise, matrixDims } from './leafwise.ts'
import { leafName, type Select, type TargetFault, type TargetsOf } from './targets.ts'
import { before, chosenAmong, trained } from './kept.ts'
import { method } from './record.ts'

export interface Shira<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, Entries<string>>
  readonly fault: TargetFault<this['in'], T>
}

/** The number of trained entries of a weight. */
const entriesOf = (rank: number, input: number, output: number): number =>
  Math.min(rank * (input + output), input * output)
/** The name of that number, which weights of one kind share. */
const dimOf = (rank: number, path: string): string => `shira_${rank}_${leafName(path)}`

/**
 * Sparse high-rank adaptation (Bhardwaj et al., NeurIPS 2024) with the random mask: trains r · (in + out) single
 * entries of each weight, as many parameters as LoRA of rank r, and adds nothing.
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
  /** Given entries, counted along the flattened `[in, out]` leaf, by path. */
  readonly selection?: ReadonlyMap<string, Int32Array>
}): Method<Shira<TargetsOf<T>>> =>
  leafwise<Shira<TargetsOf<T>>, Node>('shira', targets, (leaf, path) => {
    matrixDims('shira', leaf, path)
    // the number of entries is known once the sizes are; until then it has a name
    const r = ranks?.get(path) ?? rank
    const mask = entries(dimOf(r, path))
    const choose = ({ sizes: [rows = 0, columns = 0] }: { readonly sizes: readonly number[] }): Int32Array =>
      given?.get(path) ?? chooseColumns(seed, path, rows * columns, entriesOf(r, rows, columns))
    return {
      becomes: leaf,
      mask,
      weight: own => own,
      selections: [{ path, index: mask.index, among: 'entries', choose }],
    }
  })

export const shiraMethod = method({
  name: 'shira',
  title: 'SHiRA',
  trains: 'single entries of each weight',
  paper: { by: 'Bhardwaj et al., NeurIPS 2024', url: 'https://arxiv.org/abs/2406.13175' },
  make: shira,
  takes: ['rank', 'ranks', 'seed', 'selection'],
  rank: { default: 8 },
  reach: 'linear',
  targets: 'usual',
  // counted along the flattened [in, out] weight
  tensors: [{ entries: chosenAmong('entries', 'n'), values: trained('n'), base: before('n') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: 'values',
  lora: { none: 'SHiRA changes single entries' },
  dims: modules =>
    Object.fromEntries(
      modules.map(module => [dimOf(module.rank, module.path), entriesOf(module.rank, module.in, module.out)]),
    ),
  peft: {
    type: 'SHIRA',
    // its entries are counted in a weight whose sizes only the base knows, and are added to the base's values
    unsupported: 'SHiRA adapters of PEFT are not supported: they say what is added, not what there is',
  },
})

import { chooseColumns, factors, type Model, type Node, type Shape } from '../../tensor/index.ts'
import { columns, type Columns } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import type { Method, Reparametrisation } from './method.ts'
import { before, chosenAmong, trained } from './kept.ts'
import { leafwise, matrixDims } from './leafwise.ts'
import { columnFactors } from './low-rank.ts'
import { method } from './record.ts'
import { moduleOf, UnknownTarget, type Ranks, type Select, type TargetFault, type TargetsOf } from './targets.ts'

export interface S2ft<T extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Select<this['in'], T, Columns<number>>
  readonly fault: TargetFault<this['in'], T>
}

/**
 * The inputs of leaves that belong together, by path: an input `heads*headDim` is made of heads of `headDim` columns.
 * Any other is made of single channels, and its leaf is left out.
 * @example inputBlocks(llama(config)) // 'model.layers.0.self_attn.o_proj' => 64, …
 */
export const inputBlocks = ({
  params,
  dims = {},
}: Pick<Model<unknown, unknown, Shape>, 'params' | 'dims'>): ReadonlyMap<string, number> =>
  new Map(
    tensorsOf(params).flatMap(([path, { shape }]): readonly (readonly [string, number])[] => {
      const last = shape.length === 2 ? factors(shape[0]!).slice(1).at(-1) : undefined
      const size = typeof last === 'string' ? dims[last] : last
      return size === undefined ? [] : [[moduleOf(path), size]]
    }),
  )

/** The columns of blocks. @example columnsOf([2, 0], 3) // [6, 7, 8, 0, 1, 2] */
const columnsOf = (blocks: Int32Array, size: number): Int32Array =>
  Int32Array.from({ length: blocks.length * size }, (_, i) => blocks[Math.floor(i / size)]! * size + (i % size))

/** Columns of somebody's own. @throws {UnknownTarget} if they are a part of a block */
const wholeBlocks = (own: Int32Array, size: number, path: string): Int32Array => {
  const found = new Map<number, number>()
  for (const column of own) found.set(Math.floor(column / size), (found.get(Math.floor(column / size)) ?? 0) + 1)
  const part = [...found].find(([, n]) => n !== size)
  if (part !== undefined)
    throw new UnknownTarget(
      `s2ft trains whole blocks of ${size} columns of ${path}: of block ${part[0]}, ${part[1]} are chosen`,
    )
  return own
}

/**
 * Structured sparse fine-tuning (Yang et al., NeurIPS 2024): trains what some attention heads and feed-forward
 * channels, chosen at random, give to the rest of the network, their columns of `o_proj` and `down_proj`. Of a leaf with
 * blocks, as heads, it trains as many whole ones as have `rank` columns or more; of any other leaf `rank` channels. The
 * paper permutes the matrices on both sides of a structure, so that what is trained is contiguous. Here a column is a
 * row of storage, contiguous as it is: nothing is permuted, and heads that share keys are chosen one by one.
 * @example s2ft({ targets: ['o_proj', 'down_proj'], rank: 64, seed: 0, blocks: inputBlocks(model) })
 */
export const s2ft = <const T extends readonly string[]>({
  targets,
  rank,
  ranks,
  seed,
  blocks,
  selection,
}: {
  readonly targets: T
  /** The number of columns (input features) of each that are trained, rounded up to whole blocks. */
  readonly rank: number
  /** Another rank for some leaves, by path. */
  readonly ranks?: Ranks
  /** The selection is reproducible from the seed and the path of the leaf. */
  readonly seed: number
  /** The number of neighbouring columns that belong together, by path; one where it is not given. See `inputBlocks`. */
  readonly blocks?: ReadonlyMap<string, number>
  /** A selection of one's own, by the path of the leaf: all columns of each block, in any order. */
  readonly selection?: ReadonlyMap<string, Int32Array>
}): Method<S2ft<TargetsOf<T>>> =>
  leafwise<S2ft<TargetsOf<T>>, Node>('s2ft', targets, (leaf, path) => {
    matrixDims('s2ft', leaf, path)
    const size = blocks?.get(path) ?? 1
    const count = Math.ceil((ranks?.get(path) ?? rank) / size)
    const mask = columns(count * size)
    const choose = ({ sizes: [width = 0] }: { readonly sizes: readonly number[] }): Int32Array => {
      const own = selection?.get(path)
      return own ? wholeBlocks(own, size, path) : columnsOf(chooseColumns(seed, path, width / size, count), size)
    }
    return {
      becomes: leaf,
      mask,
      weight: own => own,
      selections: [{ path, index: mask.index, among: 'columns', choose }],
    }
  })

export const s2ftMethod = method({
  name: 's2ft',
  title: 'S²FT',
  trains: 'the columns of some attention heads and feed-forward channels',
  paper: { by: 'Yang et al., NeurIPS 2024', url: 'https://arxiv.org/abs/2412.06289' },
  make: s2ft,
  takes: ['rank', 'ranks', 'seed', 'selection', 'blocks'],
  rank: { default: 32, counts: 'inputs' },
  reach: 'linear',
  targets: ['o_proj', 'down_proj'],
  // whole blocks may have more columns than the rank
  tensors: [{ columns: chosenAmong('columns', 'n'), values: trained('n', 'out'), base: before('n', 'out') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: 'values',
  lora: { factors: columnFactors },
  peft: undefined,
})

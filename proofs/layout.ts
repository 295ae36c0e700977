import fc from 'fast-check'
import type { Numbers } from '../src/tensor/index.ts'
import {
  all,
  columns,
  entries,
  frozen,
  tensorsOf,
  unflatten,
  type Method,
  type IndexChoice,
  type LeafMask,
  type Opaque,
} from '../src/tune/index.ts'

/**
 * The trained part of a leaf [rows, outputs]: `index` counts columns of the paper's W, which are rows here, or entries.
 */
export interface Choice {
  readonly rows: number
  readonly kind: Kind
  readonly index: readonly number[]
}
export type Kind = LeafMask['mask']
export const everyKind: readonly Kind[] = ['all', 'columns', 'entries', 'frozen']

/** Leaves W₁, W₂, … stacked in one W [inputs, outputs], and the trained part of each. */
export interface Layout {
  readonly leaves: readonly Choice[]
  readonly outputs: number
}
const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
/** Random shapes, random masks of the given kinds. */
export const layouts = (kinds: readonly Kind[] = everyKind): fc.Arbitrary<Layout> =>
  small(3).chain(outputs =>
    fc
      .array(fc.tuple(small(3), fc.constantFrom(...kinds)), { minLength: 1, maxLength: 3 })
      .chain(leaves =>
        fc
          .tuple(...leaves.map(([rows, kind]) => choice(rows, kind, outputs)))
          .map(choices => ({ leaves: choices, outputs })),
      ),
  )
const choice = (rows: number, kind: Kind, outputs: number): fc.Arbitrary<Choice> => {
  const of = kind === 'columns' ? rows : kind === 'entries' ? rows * outputs : 0
  return fc
    .shuffledSubarray([...Array(of).keys()], { minLength: Math.min(1, of) })
    .map(index => ({ rows, kind, index }))
}
export const inputsOf = ({ leaves }: Layout): number => leaves.reduce((sum, { rows }) => sum + rows, 0)

/** Tests whether each element of W is trained, without the library's lens. */
export const trainedOf = ({ leaves, outputs }: Layout): readonly boolean[] =>
  leaves.flatMap(({ rows, kind, index }) =>
    Array.from(
      { length: rows * outputs },
      (_, e) =>
        kind === 'all' ||
        (kind === 'entries' && index.includes(e)) ||
        (kind === 'columns' && index.includes(Math.floor(e / outputs))),
    ),
  )
/** Tests whether any element of each row of W is trained. */
export const rowsOf = (layout: Layout): readonly boolean[] => {
  const trained = trainedOf(layout)
  return Array.from({ length: inputsOf(layout) }, (_, i) =>
    trained.slice(i * layout.outputs, (i + 1) * layout.outputs).includes(true),
  )
}

/** A change of a mask's selection, for mutants: the neighbours of the selected columns or entries, or everything. */
export type Mistake = 'shifted' | 'ignored'
/** The selection of a leaf's mask under a mistake. */
export const mistaken = (choice: Choice, outputs: number, mistake?: Mistake): Choice => {
  const of = choice.kind === 'columns' ? choice.rows : choice.rows * outputs
  if (mistake === 'ignored') return { ...choice, kind: 'all', index: [] }
  return mistake === 'shifted' ? { ...choice, index: choice.index.map(i => (i + 1) % of) } : choice
}
/** A method that trains the selection of the layout: the library's own masks, with given indices. */
export const choosing = ({ leaves, outputs }: Layout, mistake?: Mistake): Method<Opaque> => ({
  name: 'choosing',
  apply: params => {
    const selections: IndexChoice[] = []
    const masks = tensorsOf(params).map(([path], i): LeafMask => {
      const { kind, index } = mistaken(leaves[i]!, outputs, mistake)
      if (kind === 'all' || kind === 'frozen') return kind === 'all' ? all : frozen
      const mask = (kind === 'columns' ? columns : entries)(index.length)
      selections.push({ path, index: mask.index, among: kind, choose: () => Int32Array.from(index) })
      return mask
    })
    // an opaque focus: the mask is known only at run time
    return {
      params,
      mask: unflatten(params, masks) as never,
      weight: q => q as typeof params,
      selections,
      additions: [],
    }
  },
})

/** W cut into its leaves. */
export const leavesOf = ({ leaves, outputs }: Layout, w: Numbers): readonly Numbers[] =>
  leaves.map(({ rows }, i) => {
    const begin = leaves.slice(0, i).reduce((sum, leaf) => sum + leaf.rows, 0) * outputs
    return { sizes: [rows, outputs], data: w.data.slice(begin, begin + rows * outputs) }
  })

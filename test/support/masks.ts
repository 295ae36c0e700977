import type { Method, Reparametrisation } from '../../src/index.ts'
import {
  chooseColumns,
  columns,
  entries,
  frozen,
  everything as all,
  mapTree,
  isTensor,
  type Dynamic,
  type IndexChoice,
} from '../../src/compiler.ts'

interface Masked extends Reparametrisation {
  readonly params: this['in']
  readonly mask: Dynamic
}

/** The trained part of a leaf: nothing, all, or some columns or entries. */
export type Choice = 'frozen' | 'all' | { readonly columns: number } | { readonly entries: number }

/** An adapter that masks every leaf by its path, which no method of the library does, but every session supports. */
export const masked = (choiceOf: (path: string) => Choice): Method<Masked> => ({
  name: 'masked',
  apply: params => {
    const selections: IndexChoice[] = []
    const mask = mapTree(params, isTensor, (_, path) => {
      const choice = choiceOf(path)
      if (typeof choice === 'string') return choice === 'all' ? all : frozen
      const made = 'columns' in choice ? columns(choice.columns) : entries(choice.entries)
      const count = 'columns' in choice ? choice.columns : choice.entries
      selections.push({
        path,
        index: made.index,
        among: 'columns' in choice ? 'columns' : 'entries',
        choose: ({ sizes }) => chooseColumns(1, path, sizes[0]!, count),
      })
      return made
    })
    // an opaque focus: the mask is known only at run time
    return { params, mask: mask as never, weight: q => q, selections, additions: [] }
  },
})

/** The number of the layer that a path is in; none outside of layers. */
export const layerIn = (path: string): number => Number(/(?:^|\.)(\d+)\./.exec(path)?.[1] ?? Number.NaN)

import type { DType, Shape, Value } from '../../tensor/index.ts'
import { isValue, mapTree } from '../tree.ts'

/** The trained columns of each module, by the module's path. */
export type Selection = ReadonlyMap<string, Int32Array>

/**
 * The module that a leaf of an optimizer's state belongs to: the state of a transform repeats the tree of trained
 * leaves.
 */
const moduleOf = (leaf: string, paths: Iterable<string>): string | undefined =>
  [...paths].filter(path => leaf === path || leaf.endsWith(`.${path}`)).sort((a, b) => b.length - a.length)[0]

/** Moves rows to the new places of their columns; a new column starts from zero. */
const carriedRows = (value: Value<Shape, DType>, old: Int32Array, next: Int32Array): Value<Shape, DType> => {
  const length = value.data.length / old.length
  const data = value.data.slice(0, 0)
  const place = new Map([...old].map((column, i) => [column, i]))
  // an array of the same kind, of zeros
  const moved = new (data.constructor as new (length: number) => typeof value.data)(next.length * length)
  next.forEach((column, i) => {
    const from = place.get(column)
    if (from !== undefined) moved.set(value.data.subarray(from * length, (from + 1) * length), i * length)
  })
  const resized = (dims: Shape): Shape => [next.length, ...dims.slice(1)]
  // there are as many rows as columns now; everything else stays
  return { ...value, shape: resized(value.shape), sizes: [next.length, ...value.sizes.slice(1)], data: moved } as Value<
    Shape,
    DType
  >
}

/**
 * Carries the optimizer's state over to another selection of columns: the state of a column that stays selected moves
 * to the column's new place, new columns start from zero, and leaves outside all modules (counts) stay. Leaves are
 * `[rank, ...]` at the paths of their modules.
 * @example await session.write({ focus, state: carryState(adapter.selection, session.selection, state) })
 */
export const carryState = <S>(old: Selection, next: Selection, state: S): S => {
  const paths = [...old.keys()].filter(path => next.has(path))
  return mapTree(state, isValue, (value, path) => {
    const module = moduleOf(path, paths)
    return module === undefined ? value : carriedRows(value, old.get(module)!, next.get(module)!)
  }) as S
}

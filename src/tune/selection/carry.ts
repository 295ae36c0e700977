import { count, type DType, type Shape, type Value } from '../../tensor/index.ts'
import { isValue, mapTree } from '../tree.ts'

/** The trained columns of each module, by the module's path. */
export type Selection = ReadonlyMap<string, Int32Array>

/**
 * The module that a leaf of an optimizer's state belongs to: the state of a transform repeats the tree of trained
 * leaves.
 */
const moduleOf = (leaf: string, paths: Iterable<string>): string | undefined =>
  [...paths].filter(path => leaf === path || leaf.endsWith(`.${path}`)).sort((a, b) => b.length - a.length)[0]

/** Moves slices along an axis to the new places of their columns; a new column starts from zero. */
const carriedSlices = (
  value: Value<Shape, DType>,
  axis: number,
  old: Int32Array,
  next: Int32Array,
): Value<Shape, DType> => {
  const length = count(value.sizes.slice(axis + 1))
  const blocks = count(value.sizes.slice(0, axis))
  const data = value.data.slice(0, 0)
  const place = new Map([...old].map((column, i) => [column, i]))
  // an array of the same kind, of zeros
  const moved = new (data.constructor as new (length: number) => typeof value.data)(blocks * next.length * length)
  for (let block = 0; block < blocks; block++)
    next.forEach((column, i) => {
      const at = place.get(column)
      const from = (block * old.length + (at ?? 0)) * length
      if (at !== undefined) moved.set(value.data.subarray(from, from + length), (block * next.length + i) * length)
    })
  const sizes = value.sizes.with(axis, next.length)
  // there are as many slices as columns now; everything else stays
  return { ...value, shape: value.shape.with(axis, next.length), sizes, data: moved } as Value<Shape, DType>
}

/**
 * Carries the optimizer's state over to another selection of columns: the state of a column that stays selected moves
 * to the column's new place, new columns start from zero, and leaves outside all modules (counts) stay. Leaves are at
 * the paths of their modules, `[rank, ...]` unless `inputs` gives another axis of the columns for a path, as
 * convolutions have.
 * @throws {RangeError} if a leaf has not its former columns along that axis
 * @example await session.write({ focus, state: carryState(adapter.selection, session.selection, state) })
 */
export const carryState = <S>(
  old: Selection,
  next: Selection,
  state: S,
  inputs: (path: string) => number = () => 0,
): S => {
  const paths = [...old.keys()].filter(path => next.has(path))
  return mapTree(state, isValue, (value, path) => {
    const module = moduleOf(path, paths)
    if (module === undefined) return value
    const [axis, columns] = [inputs(module), old.get(module)!]
    if (value.sizes[axis] !== columns.length)
      throw new RangeError(
        `carryState: ${path} is [${value.sizes.join(', ')}], and axis ${axis} does not have the ${columns.length} columns of ${module}`,
      )
    return carriedSlices(value, axis, columns, next.get(module)!)
  }) as S
}

import { formOfModule, rankOf, withModules, type Adapter, type AnyAdapter } from '../io/index.ts'
import type { Shape, Value } from '../tensor/index.ts'
import { recordOf, type MethodName, type Tensors } from '../tune/index.ts'
import { chosenIn, indices, selectionOf } from './adapter.ts'

/** Merges two trainings into one adapter, relative to the first base. */

/** The number of elements in a row; 1 for a vector. */
const rowLength = ({ sizes }: Value<Shape>): number => sizes.slice(1).reduce((a, b) => a * b, 1)
/** Rows of a matrix, or elements of a vector, by their index. */
const rowsOf = (index: Int32Array, value: Value<Shape>): ReadonlyMap<number, Float32Array> => {
  const length = rowLength(value)
  const { data } = value
  return new Map([...index].map((at, i) => [at, data.subarray(i * length, (i + 1) * length)]))
}
const stacked = (like: Value<Shape>, index: Int32Array, rows: ReadonlyMap<number, Float32Array>): Value<Shape> => {
  const length = rowLength(like)
  const data = new Float32Array(index.length * length)
  const sizes = [index.length, ...like.sizes.slice(1)]
  index.forEach((at, i) => data.set(rows.get(at)!, i * length))
  return { shape: sizes, sizes, dtype: 'f32', data }
}

/**
 * Merges two trainings of one module: the newer numbers of every tensor win; the base is the state before the first
 * training.
 */
const joinedModule = (method: MethodName, old: Tensors, now: Tensors): Tensors => {
  const [before, after] = [chosenIn(method, old), chosenIn(method, now)]
  if (before === undefined || after === undefined) return now
  const index = Int32Array.from(new Set([...before.data, ...after.data])).sort()
  const joined = Object.entries(formOfModule(method, now)).map(([name, { from }]) => {
    const [first, last] = [old[name], now[name]]
    if (first?.dtype !== 'f32' || last?.dtype !== 'f32') return [name, indices(index)] as const
    const [earlier, later] = [rowsOf(before.data, first), rowsOf(after.data, last)]
    const rows = new Map(from === 'before' ? [...later, ...earlier] : [...earlier, ...later])
    return [name, stacked(last, index, rows)] as const
  })
  return Object.fromEntries(joined)
}

/**
 * The adapter of a run that continued from another, relative to the first base: for the parts that either has selected
 * and trained, their present numbers and those of the first base. For methods without a selection it is the new
 * adapter.
 * @example saveAdapter(out, continuing(old, adapterOf(origin, trained)))
 */
export const continuing = (old: Adapter, now: Adapter): Adapter => {
  const { method, modules: first }: AnyAdapter = old
  const { modules: last, rank }: AnyAdapter = now
  if (method !== now.method || selectionOf(now).size === 0) return now
  const modules = new Map(
    [...last].map(([path, module]) => [path, joinedModule(method, first.get(path) ?? module, module)]),
  )
  const joined = withModules(now, modules)
  // a module's rank is its number of columns, but it does not determine its number of entries
  const counts = recordOf(method).tensors.some(form => Object.values(form).some(({ sizes }) => sizes[0] === 'r'))
  const ranks = counts ? [...modules.keys()].map(path => [path, rankOf(joined, path)] as const) : []
  const others = ranks.filter(([, own]) => own !== rank)
  const rankPattern = Object.fromEntries(others.map(([path, own]) => [path.replaceAll('.', '\\.'), own]))
  return { ...joined, ...(others.length > 0 ? { rankPattern } : {}) }
}

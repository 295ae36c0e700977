import { around, count, lowestVisible, type StandardizeAttributes } from '../../tensor/index.ts'
import { attributesOf, type Call } from './lowering.ts'
import type { Kernels } from './wasm/index.ts'

/** A function of offsets on the heap: (inputs, output) => nothing. */
export type OnHeap = (at: readonly number[], out: number) => void

/** The rows of a tensor: all axes but the last together, and the last. */
export const rowsOf = (sizes: readonly number[]): readonly [rows: number, columns: number] => [
  count(sizes.slice(0, -1)),
  sizes.at(-1) ?? 1,
]
/** The rows of a norm, and what is added to a variance. */
export const normOf = ({ node, output }: Call): readonly [rows: number, columns: number, epsilon: number] => [
  ...rowsOf(output.sizes),
  attributesOf<StandardizeAttributes>(node).epsilon,
]

/** The plans of functions of rows, which may write to the buffer that they read. */
export const rowPlans = (kernels: Kernels) => ({
  visibleSoftmax: ({ output }: Call): OnHeap => {
    const [rows, columns] = rowsOf(output.sizes)
    return ([scores], out) => kernels.softmaxVisible(scores!, out, rows, columns, lowestVisible)
  },
  standardize: (call: Call): OnHeap => {
    const norm = normOf(call)
    return ([x], out) => kernels.standardize(x!, out, ...norm)
  },
  standardizeGrad: (call: Call): OnHeap => {
    const norm = normOf(call)
    return ([dy, x], out) => kernels.standardizeBackward(dy!, x!, out, ...norm)
  },
})

type Move = (input: number, index: number, output: number) => void

/**
 * Moves slices of an axis by an index into `indexed`, one of the two: whole rows if the axis is not the last, otherwise
 * single columns.
 */
export const alongAxis = (
  from: readonly number[],
  to: readonly number[],
  axis: number,
  indexed: readonly number[],
  rows: Kernels['takeRows'],
  columns: Kernels['takeColumns'],
): Move => {
  const [outer, , inner] = around(from, axis)
  const wide = indexed[axis]!
  const n = (indexed === from ? to : from)[axis]!
  if (inner === 1 && outer > 1) return (input, index, output) => columns(input, index, output, outer, wide, n)
  return (input, index, output) => {
    for (let o = 0; o < outer; o++)
      rows(input + 4 * o * from[axis]! * inner, index, output + 4 * o * to[axis]! * inner, n, inner)
  }
}

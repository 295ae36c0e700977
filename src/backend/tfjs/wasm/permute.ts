import type { Kernels } from './kernels.ts'

interface Axis {
  readonly size: number
  readonly input: number
  readonly output: number
}

const strides = (sizes: readonly number[]): readonly number[] =>
  sizes.reduceRight<readonly number[]>(
    (later, _, i) => [i === sizes.length - 1 ? 1 : (later[0] ?? 1) * (sizes[i + 1] ?? 1), ...later],
    [],
  )

/** The output's axes with both strides: axes of length 1 dropped, axes that stay neighbours merged. */
const axesOf = (sizes: readonly number[], permutation: readonly number[]): readonly Axis[] => {
  const inputs = strides(sizes)
  const outputs = strides(permutation.map(axis => sizes[axis] ?? 1))
  const axes = permutation.map((axis, i) => ({
    size: sizes[axis] ?? 1,
    input: inputs[axis] ?? 1,
    output: outputs[i] ?? 1,
  }))
  return axes
    .filter(axis => axis.size > 1)
    .reduce<readonly Axis[]>((done, axis) => {
      const last = done.at(-1)
      return last !== undefined && last.input === axis.size * axis.input
        ? [...done.slice(0, -1), { size: last.size * axis.size, input: axis.input, output: axis.output }]
        : [...done, axis]
    }, [])
}

const none: Axis = { size: 1, input: 0, output: 0 }

/** Puts axes of length 1 in front until there are n. */
const padded = (axes: readonly Axis[], n: number): readonly Axis[] => [
  ...Array.from({ length: n - axes.length }, () => none),
  ...axes,
]

/** A permutation planned for one shape: a function from the offsets of input and output. */
export type Permute = (input: number, output: number) => void

/**
 * Plans out = transpose(in, permutation), as in numpy. Axes that stay together are merged first; what remains is a copy
 * of runs if the last axis stays last, otherwise blocked transposes. At most five merged axes may remain, which covers
 * every permutation of five axes; with more there is no plan.
 * @example planPermute(kernels, [2, 256, 9, 64], [0, 2, 1, 3])?.(input, output)
 */
export const planPermute = (
  kernels: Kernels,
  sizes: readonly number[],
  permutation: readonly number[],
): Permute | undefined => {
  const axes = axesOf(sizes, permutation)
  const count = sizes.reduce((n, size) => n * size, 1)
  if (count === 0) return () => undefined
  const last = axes.at(-1)
  if (axes.length > 5) return undefined
  if (last === undefined || axes.length === 1)
    return (input, output) => kernels.copyBlocks(input, output, 1, count, 0, 0)
  if (last.input === 1) {
    const [a = none, b = none, c = none, d = none] = padded(axes.slice(0, -1), 4)
    return (input, output) =>
      kernels.permuteCopy(input, output, a.size, b.size, c.size, d.size, last.size, a.input, b.input, c.input, d.input)
  }
  // The input's last axis gives the columns of each transpose, the output's last axis its rows.
  const columns = axes.find(axis => axis.input === 1) ?? none
  const rest = axes.filter(axis => axis !== columns && axis !== last)
  const [a = none, b = none, c = none] = padded(rest, 3)
  return (input, output) =>
    kernels.permuteTranspose(
      input,
      output,
      a.size,
      b.size,
      c.size,
      last.size,
      columns.size,
      a.input,
      b.input,
      c.input,
      last.input,
      a.output,
      b.output,
      c.output,
      columns.output,
    )
}

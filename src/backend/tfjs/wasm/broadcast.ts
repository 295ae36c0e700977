import type { Kernels } from './kernels.ts'

/** A kernel of two arguments. */
export type BinaryKernel = Kernels['add']

interface Axis {
  readonly size: number
  readonly a: number
  readonly b: number
}

/** Strides of an operand along the output's axes, 0 where it is repeated. */
const stridesIn = (sizes: readonly number[], rank: number): readonly number[] => {
  const padded = [...Array<number>(rank - sizes.length).fill(1), ...sizes]
  const dense = padded.map((_, i) => padded.slice(i + 1).reduce((n, size) => n * size, 1))
  return padded.map((size, i) => (size === 1 ? 0 : (dense[i] ?? 0)))
}

/** The output's axes, with neighbours merged if both operands traverse them evenly. */
const axesOf = (a: readonly number[], b: readonly number[]): readonly Axis[] => {
  const rank = Math.max(a.length, b.length)
  const [inA, inB] = [stridesIn(a, rank), stridesIn(b, rank)]
  return Array.from({ length: rank }, (_, i): Axis => {
    const [sizeA, sizeB] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1]
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1)
      throw new RangeError(`broadcast: [${a.join(', ')}] and [${b.join(', ')}] differ`)
    return { size: sizeA === 1 ? sizeB : sizeA, a: inA[i] ?? 0, b: inB[i] ?? 0 }
  })
    .filter(axis => axis.size !== 1)
    .reduce<readonly Axis[]>((done, axis) => {
      const last = done.at(-1)
      return last !== undefined && last.a === axis.size * axis.a && last.b === axis.size * axis.b
        ? [...done.slice(0, -1), { ...axis, size: last.size * axis.size }]
        : [...done, axis]
    }, [])
}

/** A function of two arguments planned for two shapes: a function from the offsets of both and of the output. */
export type Binary = (a: number, b: number, output: number) => void

/**
 * Plans out = a op b with numpy's broadcasting, for any ranks: the two innermost merged axes are one kernel call, the
 * others a loop here.
 * @example planBinary(kernels.mul, [256, 576], [576])(x, g, y)
 */
export const planBinary = (kernel: BinaryKernel, aSizes: readonly number[], bSizes: readonly number[]): Binary => {
  const axes = axesOf(aSizes, bSizes)
  const one: Axis = { size: 1, a: 0, b: 0 }
  const columns = axes.at(-1) ?? one
  const rows = axes.at(-2) ?? one
  const block = 4 * rows.size * columns.size
  // The offsets of every kernel call, relative to the three arguments.
  const calls = axes
    .slice(0, -2)
    .reduce<readonly (readonly [a: number, b: number])[]>(
      (starts, axis) =>
        starts.flatMap(([a, b]) =>
          Array.from({ length: axis.size }, (_, i) => [a + 4 * i * axis.a, b + 4 * i * axis.b] as const),
        ),
      [[0, 0]],
    )
  return (a, b, output) =>
    calls.forEach(([inA, inB], i) =>
      kernel(a + inA, b + inB, output + i * block, rows.size, columns.size, rows.a, columns.a, rows.b, columns.b),
    )
}

/**
 * Plans out = broadcastTo(x, sizes), of elements of four bytes.
 * @example planRepeat(kernels, [1, 576], [256, 576])(x, y)
 */
export const planRepeat = (
  kernels: Pick<Kernels, 'repeat'>,
  from: readonly number[],
  to: readonly number[],
): ((x: number, output: number) => void) => {
  // as the first of two operands, of which the second has the result's sizes and is not read
  const run = planBinary(
    (x, _, output, rows, cols, row, col) => kernels.repeat(x, output, rows, cols, row, col),
    from,
    to,
  )
  return (x, output) => run(x, 0, output)
}

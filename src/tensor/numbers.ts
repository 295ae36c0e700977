import { DataMismatch, type Numbers } from './node.ts'
import { count } from './value.ts'

/** Helpers for the float64 meaning of ops, with clarity before speed. */

/** Row-major strides, in elements. */
export const stridesOf = (sizes: readonly number[]): readonly number[] => {
  const strides = sizes.map(() => 1)
  for (let axis = sizes.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * sizes[axis + 1]!
  return strides
}

/**
 * The offset that `strides` gives to every index over `sizes`, in row-major order.
 * @example offsetsOf([2, 2], [1, 2]) // [0, 2, 1, 3]: a transposed 2 × 2 array
 */
export const offsetsOf = (sizes: readonly number[], strides: readonly number[]): Int32Array => {
  let offsets = Int32Array.of(0)
  sizes.forEach((size, axis) => {
    const stride = strides[axis]!
    const grown = new Int32Array(offsets.length * size)
    for (let i = 0; i < offsets.length; i++)
      for (let j = 0; j < size; j++) grown[i * size + j] = offsets[i]! + j * stride
    offsets = grown
  })
  return offsets
}

/** Strides that read an array of `from` as if it were broadcast to `to`: zero where it is repeated. */
export const broadcastStrides = (from: readonly number[], to: readonly number[]): readonly number[] => {
  const strides = stridesOf(from)
  const lead = to.length - from.length
  return to.map((_, axis) => (axis < lead || from[axis - lead] === 1 ? 0 : strides[axis - lead]!))
}

export const numbers = (sizes: readonly number[], fill: (i: number) => number): Numbers => {
  const data = new Float64Array(count(sizes))
  for (let i = 0; i < data.length; i++) data[i] = fill(i)
  return { sizes, data }
}

/**
 * The reason why an index does not lie within a dim, if it does not. Negative indices do not count from the end.
 * @example outside([0, 5], 5) is 'index 5 is not below 5'
 */
export const outside = (index: ArrayLike<number>, below: number): string | undefined => {
  for (let i = 0; i < index.length; i++) {
    const at = index[i]!
    if (!(at >= 0 && at < below)) return `index ${at} is not ${at < 0 ? 'above -1' : `below ${below}`}`
  }
  return undefined
}
/**
 * Checks that an index lies within a dim.
 * @throws {DataMismatch} if it does not
 */
export const checkIndex = (op: string, { data }: Numbers, below: number): void => {
  const text = outside(data, below)
  if (text !== undefined) throw new DataMismatch(`${op}: ${text}`)
}

/** Reads an array at the given offsets. */
export const gather = (x: Numbers, offsets: Int32Array, sizes: readonly number[]): Numbers =>
  numbers(sizes, i => x.data[offsets[i]!]!)

/** Applies a function to broadcast operands, element by element. */
export const elementwise = (
  sizes: readonly number[],
  operands: readonly Numbers[],
  f: (...x: number[]) => number,
): Numbers => {
  const offsets = operands.map(x => offsetsOf(sizes, broadcastStrides(x.sizes, sizes)))
  return numbers(sizes, i => f(...operands.map((x, k) => x.data[offsets[k]![i]!]!)))
}

/** The sizes of an array viewed as `[outer, axis, inner]`. */
export const around = (
  sizes: readonly number[],
  axis: number,
): readonly [outer: number, size: number, inner: number] => [
  count(sizes.slice(0, axis)),
  sizes[axis]!,
  count(sizes.slice(axis + 1)),
]

/** The error function to about 1e-15: its Taylor series near 0, its continued fraction in the tails. */
export const erfOfNumber = (x: number): number => {
  const a = Math.abs(x)
  if (a < 2.5) {
    let term = a
    let sum = a
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-a * a) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * sum * 2) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction)
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction))
}

/** The nearest whole number; of two, the even one. @example halfToEven(2.5) is 2 */
export const halfToEven = (x: number): number => {
  const up = Math.round(x)
  return Math.abs(x % 1) === 0.5 && up % 2 !== 0 ? up - 1 : up
}

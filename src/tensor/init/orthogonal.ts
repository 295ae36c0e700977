import { hashName, normals } from '../random.ts'
import { count } from '../value.ts'
import type { Initializer } from './initializer.ts'

const lengthOf = (x: Float64Array): number => Math.sqrt(x.reduce((total, v) => total + v * v, 0))

/** Subtracts from a vector its part along each of some orthonormal vectors, in place. */
const straighten = (x: Float64Array, others: readonly Float64Array[]): void => {
  for (const other of others) {
    let along = 0
    for (let i = 0; i < x.length; i++) along += x[i]! * other[i]!
    for (let i = 0; i < x.length; i++) x[i] = x[i]! - along * other[i]!
  }
}

/**
 * Vectors of length 1 at right angles, uniformly distributed: normal vectors, made orthogonal one after the other (Gram
 * and Schmidt), and once more if little of a vector is left, so that rounding does not tilt it.
 */
const orthonormal = (source: Generator<number, never>, howMany: number, length: number): readonly Float64Array[] => {
  const found: Float64Array[] = []
  while (found.length < howMany) {
    const next = Float64Array.from({ length }, () => source.next().value)
    let before = Infinity
    let now = lengthOf(next)
    while (now < 0.5 * before) {
      straighten(next, found)
      before = now
      now = lengthOf(next)
    }
    found.push(next.map(x => x / now))
  }
  return found
}

/**
 * A matrix of orthonormal columns, or of orthonormal rows if it has fewer rows, times `gain` (Saxe et al. 2013). Axes
 * before the last are rows together. Takes rows · columns · the smaller of both operations.
 * @throws {RangeError} if the leaf has fewer than two axes
 * @example orthogonal({ gain: Math.SQRT2 })
 */
export const orthogonal = ({ gain = 1 }: { readonly gain?: number } = {}): Initializer => {
  if (!Number.isFinite(gain)) throw new RangeError(`init: gain of orthogonal is ${gain}: it is a finite number`)
  return ({ seed, path, sizes }) => {
    if (sizes.length < 2)
      throw new RangeError(`init: orthogonal needs a matrix, and the sizes of ${path} are [${sizes.join(', ')}]`)
    const columns = sizes.at(-1)!
    const rows = count(sizes) / columns
    const isTall = rows >= columns
    const vectors = orthonormal(normals(seed, hashName(path)), Math.min(rows, columns), Math.max(rows, columns))
    const data = new Float32Array(rows * columns)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        data[row * columns + column] = gain * (isTall ? vectors[column]![row]! : vectors[row]![column]!)
    return data
  }
}

/**
 * A kernel of a convolution, `[…, in, out]`, that keeps lengths: at its middle place the matrix of {@link orthogonal},
 * zeros elsewhere (Xiao et al. 2018).
 * @throws {RangeError} if the leaf has fewer than three axes, or fewer outputs than inputs
 * @example deltaOrthogonal({ gain: Math.SQRT2 })
 */
export const deltaOrthogonal = (options: { readonly gain?: number } = {}): Initializer => {
  const matrix = orthogonal(options)
  return leaf => {
    const { path, sizes } = leaf
    const [inputs = 0, outputs = 0] = sizes.slice(-2)
    if (sizes.length < 3 || outputs < inputs)
      throw new RangeError(
        `init: deltaOrthogonal needs a kernel with at least as many outputs as inputs, and the sizes of ${path} are [${sizes.join(', ')}]`,
      )
    const middle = sizes.slice(0, -2).reduce((at, size) => at * size + Math.floor((size - 1) / 2), 0)
    const data = new Float32Array(count(sizes))
    data.set(matrix({ ...leaf, sizes: [inputs, outputs] }), middle * inputs * outputs)
    return data
  }
}

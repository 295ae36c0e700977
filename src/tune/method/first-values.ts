import { count, hashName, uniform, type Dim, type Node, type Shape, type Value } from '../../tensor/index.ts'

/** First values of the leaves that a method adds. Random ones depend on the seed and the path alone. */

type Sizes = (dim: Dim) => number

const floats = (leaf: Node, size: Sizes, fill: (length: number) => Float32Array): Value<Shape> => {
  const sizes = leaf.shape.map(size)
  return { shape: leaf.shape, sizes, dtype: 'f32', data: fill(count(sizes)) }
}

/** The same number for all elements. */
export const filled = (leaf: Node, size: Sizes, value = 0): Value<Shape> =>
  floats(leaf, size, length => new Float32Array(length).fill(value))

/**
 * Uniform in [-bound, bound).
 * @example uniformWithin(leaf, size, 1 / Math.sqrt(576), { seed: 0, path: 'q_proj.lora_A' })
 */
export const uniformWithin = (
  leaf: Node,
  size: Sizes,
  bound: number,
  { seed, path }: { readonly seed: number; readonly path: string },
): Value<Shape> => floats(leaf, size, length => uniform(seed, hashName(path), length).map(u => (2 * u - 1) * bound))

/** Integers, such as an index or the name of a stream. */
export const integers = (leaf: Node, data: Int32Array): Value<Shape, 'i32'> => ({
  shape: leaf.shape,
  sizes: [data.length],
  dtype: 'i32',
  data,
})

/**
 * The L2 norm of every output's weights, that is of each column of a `[in, out]` leaf: the first magnitudes of DoRA.
 */
export const outputNorms = ({ data, sizes: [rows = 0, columns = 0] }: Value<Shape>): Float32Array => {
  const squares = new Float64Array(columns)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) squares[j]! += data[i * columns + j]! ** 2
  return Float32Array.from(squares, Math.sqrt)
}

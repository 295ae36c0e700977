/** The leaf that first values are made for: the seed of the whole tree, its own path, and its sizes. */
export interface FirstLeaf {
  readonly seed: number
  readonly path: string
  readonly sizes: readonly number[]
}

/**
 * The first values of a leaf, row-major: a pure function. The path selects the stream of random numbers, so that values
 * depend neither on other leaves nor on their order.
 * @example const halves: Initializer = ({ sizes }) => new Float32Array(sizes.reduce((n, size) => n * size, 1)).fill(0.5)
 */
export type Initializer = (leaf: FirstLeaf) => Float32Array

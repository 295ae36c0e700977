import { offsetsOf, stridesOf, transposeMatrix } from '../tensor/index.ts'

/** An order of axes: for each axis of a leaf, in the order of the tree, that of the stored tensor, of `rank` axes. */
interface Order {
  readonly axes: readonly number[]
  readonly rank: number
}

/** The orders in which checkpoints keep the axes of a leaf. */
const orders = {
  /** The leaf as it is. */
  same: undefined,
  /** `[out, in]`, PyTorch's linear layers → `[in, out]`, so that a column of the PaCA paper's W is a row of storage. */
  linear: { axes: [1, 0], rank: 2 },
  /** `[out, in, rows, columns]`, PyTorch's convolutions → `[rows, columns, in, out]`. */
  convolution: { axes: [2, 3, 1, 0], rank: 4 },
  /** `[channels, 1, rows, columns]`, PyTorch's depthwise convolutions → `[rows, columns, channels]`. */
  depthwise: { axes: [2, 3, 0], rank: 4 },
  /** `[out, in, 1, 1]`, a convolution that stands for a linear layer → `[in, out]`. */
  pointwise: { axes: [1, 0], rank: 4 },
} as const satisfies Readonly<Record<string, Order | undefined>>

/** The way in which a checkpoint keeps a leaf, by its name. */
export type Layout = keyof typeof orders

/** An array of numbers with its sizes. */
interface Numbers {
  readonly sizes: readonly number[]
  readonly data: Float32Array
}

/** An order with the axes of storage that the leaf does not have: their size is 1. */
const whole = ({ axes, rank }: Order): readonly number[] => [
  ...axes,
  ...Array.from({ length: rank }, (_, axis) => axis).filter(axis => !axes.includes(axis)),
]

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)

const permuted = ({ sizes, data }: Numbers, order: readonly number[]): Numbers => {
  const to = order.map(axis => sizes[axis]!)
  // axes of size 1 move nothing: a convolution of single places is a matrix
  const [first, ...others] = order.filter(axis => sizes[axis] !== 1)
  const moved = [first, ...others].map(axis => (axis! >= first! ? axis! - first! : axis! + sizes.length))
  if (first === undefined || moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) {
    // the first axes become the last: the transpose of a matrix
    const rows = product(sizes.slice(0, first ?? 0))
    return { sizes: to, data: transposeMatrix(data, rows, product(sizes) / rows) }
  }
  const strides = stridesOf(sizes)
  const offsets = offsetsOf(
    to,
    order.map(axis => strides[axis]!),
  )
  return { sizes: to, data: Float32Array.from(offsets, at => data[at]!) }
}

/**
 * The sizes of a leaf in storage.
 * @example storedSizes('convolution', [3, 3, 16, 32]) // [32, 16, 3, 3]
 */
export const storedSizes = (layout: Layout, sizes: readonly number[]): readonly number[] => {
  const order: Order | undefined = orders[layout]
  if (order === undefined) return sizes
  return Array.from({ length: order.rank }, (_, axis) =>
    order.axes.includes(axis) ? sizes[order.axes.indexOf(axis)]! : 1,
  )
}

/**
 * The sizes of a leaf, from those in storage; `undefined` if they do not have the layout.
 * @example leafSizes('linear', [10, 48]) // [48, 10]
 */
export const leafSizes = (layout: Layout, sizes: readonly number[]): readonly number[] | undefined => {
  const order: Order | undefined = orders[layout]
  if (order === undefined) return sizes
  const fits = sizes.length === order.rank && sizes.every((size, axis) => order.axes.includes(axis) || size === 1)
  return fits ? order.axes.map(axis => sizes[axis]!) : undefined
}

/**
 * The axis of a leaf's inputs: input channels of a convolution, or the channels of one that has each by itself.
 * @example inputsIn('convolution') // 2
 */
export const inputsIn = (layout: Layout): number => {
  const order: Order | undefined = orders[layout]
  if (order === undefined) return 0
  // stored, they are the second axis, or of size 1
  const at = order.axes.indexOf(1)
  return at < 0 ? order.axes.indexOf(0) : at
}

/**
 * A stored tensor as its leaf: the inverse of {@link toStorage}. It must have sizes of the layout.
 * @example fromStorage('linear', { sizes: [1, 2], data }) // sizes: [2, 1]
 */
export const fromStorage = (layout: Layout, stored: Numbers): Numbers => {
  const order: Order | undefined = orders[layout]
  if (order === undefined) return stored
  const { data } = permuted(stored, whole(order))
  return { sizes: order.axes.map(axis => stored.sizes[axis]!), data }
}

/**
 * A leaf as a checkpoint stores it.
 * @example toStorage('convolution', { sizes: [3, 3, 16, 32], data }) // sizes: [32, 16, 3, 3]
 */
export const toStorage = (layout: Layout, leaf: Numbers): Numbers => {
  const order: Order | undefined = orders[layout]
  if (order === undefined) return leaf
  const all = whole(order)
  const sizes = all.map((_, at) => leaf.sizes[at] ?? 1)
  return permuted(
    { sizes, data: leaf.data },
    all.map((_, axis) => all.indexOf(axis)),
  )
}

import { count, permutation, show, type DataOf, type DType } from '../tensor/index.ts'
import { shown } from '../text/index.ts'
import { isValue, leaves, mapTree, type AnyValue, type Tree } from '../tune/index.ts'

/** The division of rows into batches. */
export interface BatchOptions {
  /** Rows of a batch; the last one of an epoch has the rest, unless `dropLast` leaves it out. */
  readonly size: number
  /** The seed of the order of rows, which differs from epoch to epoch; without it, rows keep their order. */
  readonly shuffle?: number
  /** True if a last batch of fewer rows is left out. */
  readonly dropLast?: boolean
  /** Passes over all rows (default 1). */
  readonly epochs?: number
}

/** Batches that are made while they are read; reading them again gives the same ones. */
export interface BatchesOf<T> extends Iterable<T> {
  /** The number of batches of all epochs. */
  readonly length: number
}

const natural = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`batches: ${name} is ${String(value)}: it is a whole number, at least 1`)
}

/** Tests for what neither is a value nor holds values. */
const isOther = (leaf: unknown): boolean =>
  !isValue(leaf) && (typeof leaf !== 'object' || leaf === null || ArrayBuffer.isView(leaf))

/** The number of rows of all values of a tree, or one sentence about the value that does not fit. */
const rowsOf = (data: unknown): number => {
  const all = leaves(data, (leaf): leaf is unknown => isValue(leaf) || isOther(leaf))
  const wrong = all.find(([, leaf]) => !isValue(leaf))
  if (wrong !== undefined)
    throw new RangeError(
      `batches: ${wrong[0] || 'the data'} is ${ArrayBuffer.isView(wrong[1]) ? 'a typed array' : shown(wrong[1])}, and no value: make one by tensor(…)`,
    )
  const [first, ...others] = leaves(data, isValue)
  if (first === undefined) throw new RangeError('batches: there are no values')
  const [
    firstPath,
    {
      shape: [rows],
      sizes: [n],
    },
  ] = first
  for (const [path, { shape, sizes }] of [first, ...others]) {
    if (typeof shape[0] !== 'string')
      throw new RangeError(`batches: ${path || 'the value'} is ${show(shape)}: its first dim is the name of the rows`)
    if (shape[0] !== rows)
      throw new RangeError(`batches: the rows of ${firstPath} are ${rows}, and those of ${path} are ${shape[0]}`)
    if (sizes[0] !== n) throw new RangeError(`batches: ${firstPath} has ${n} rows, and ${path} has ${sizes[0]}`)
  }
  return n!
}

const arrays = { f32: Float32Array, i32: Int32Array, bool: Uint8Array, bf16: Uint16Array, f16: Uint16Array } as const

/** The rows of a value, copied in the given order. */
const picked = ({ shape, sizes: [, ...inner], dtype, data }: AnyValue, rows: Int32Array): AnyValue => {
  const width = count(inner)
  const chosen: DataOf<DType> = new arrays[dtype](rows.length * width)
  rows.forEach((row, i) => chosen.set(data.subarray(row * width, (row + 1) * width), i * width))
  return { shape, sizes: [rows.length, ...inner], dtype, data: chosen }
}

/**
 * Batches of the rows of a tree of values: trees of the same structure and names, such as `{ x, y }`. Rows are the
 * first dim, which has one name and one size in all of them. With `shuffle`, each epoch has an order of its own, a
 * function of the seed and the epoch's number. A batch is made when it is read, and every `for` loop begins anew.
 * @throws {RangeError} if the numbers of rows differ, or there is no batch
 * @example for (const batch of batches({ x, y }, { size: 32, shuffle: 0, epochs: 5 })) await run.step(batch)
 */
export const batches = <T extends Tree<AnyValue>>(
  data: T,
  { size, shuffle, dropLast = false, epochs = 1 }: BatchOptions,
): BatchesOf<T> => {
  natural('size', size)
  natural('epochs', epochs)
  if (shuffle !== undefined && !Number.isSafeInteger(shuffle))
    throw new RangeError(`batches: shuffle is ${String(shuffle)}: it is the seed of the order, a whole number`)
  const rows = rowsOf(data)
  const each = dropLast ? Math.floor(rows / size) : Math.ceil(rows / size)
  if (each === 0) throw new RangeError(`batches: there are ${rows} rows, fewer than the size ${size}, and dropLast`)
  const inOrder = Int32Array.from({ length: rows }, (_, i) => i)
  return {
    length: each * epochs,
    *[Symbol.iterator](): Generator<T> {
      for (let epoch = 0; epoch < epochs; epoch++) {
        const order = shuffle === undefined ? inOrder : permutation(shuffle, epoch, rows)
        for (let batch = 0; batch < each; batch++) {
          const chosen = order.subarray(batch * size, (batch + 1) * size)
          // a tree of the same structure, with a value of the same shape and type at each leaf
          yield mapTree(data, isValue, value => picked(value, chosen)) as T
        }
      }
    },
  }
}

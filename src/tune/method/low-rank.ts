import { count, type Shape, type Value } from '../../tensor/index.ts'

/** Computes with the matrices of adapters on the host: products are summed in float64 and rounded once. */

type Floats = Value<Shape>

/** A change of a weight as factors: scale · A B, with A `[in, r]`, or `[rows, columns, in, r]`, and B `[r, out]`. */
export interface LowRank {
  readonly lora_A: Floats
  readonly lora_B: Floats
  readonly scale: number
}

export const matrix = (rows: number, columns: number, data: Float32Array): Floats => ({
  shape: [rows, columns],
  sizes: [rows, columns],
  dtype: 'f32',
  data,
})

/** Adds `by` times the product of a [..., in, r] and b [r, out] to a sum [..., in, out]. */
export const addProduct = (sum: Float64Array, a: Floats, b: Floats, by: number): void => {
  const [rank = 0, output = 0] = b.sizes
  const input = count(a.sizes.slice(0, -1))
  for (let i = 0; i < input; i++) {
    for (let k = 0; k < rank; k++) {
      const x = by * a.data[i * rank + k]!
      if (x !== 0) for (let j = 0; j < output; j++) sum[i * output + j]! += x * b.data[k * output + j]!
    }
  }
}

/** The product of a [n, k] and a [k, m] matrix. */
export const matrixProduct = (
  { sizes: [n = 0, k = 0], data: a }: Floats,
  { sizes: [, m = 0], data: b }: Floats,
): Floats => {
  const out = new Float32Array(n * m)
  const row = new Float64Array(m)
  for (let i = 0; i < n; i++) {
    row.fill(0)
    for (let l = 0; l < k; l++) {
      const x = a[i * k + l]!
      if (x !== 0) for (let j = 0; j < m; j++) row[j]! += x * b[l * m + j]!
    }
    out.set(row, i * m)
  }
  return matrix(n, m, out)
}

/** A matrix whose columns are multiplied by the numbers of a vector. */
export const scaledColumns = ({ sizes: [rows = 0, columns = 0], data }: Floats, by: Floats): Floats =>
  matrix(
    rows,
    columns,
    data.map((x, i) => x * by.data[i % columns]!),
  )

/** The first rows of a matrix. */
export const firstRows = ({ sizes: [, columns = 0], data }: Floats, rows: number): Floats =>
  matrix(rows, columns, data.subarray(0, rows * columns))

/** The first columns of a matrix. */
export const firstColumns = ({ sizes: [rows = 0, width = 0], data }: Floats, columns: number): Floats => {
  const out = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * width, i * width + columns), i * columns)
  return matrix(rows, columns, out)
}

/** Ones at [row of a column, the column]: `[rows, columns]`. @example oneHots(4, [2, 0]) */
const oneHots = (rows: number, rowOf: Int32Array): Floats => {
  const columns = rowOf.length
  const data = new Float32Array(rows * columns)
  rowOf.forEach((row, column) => {
    data[row * columns + column] = 1
  })
  return matrix(rows, columns, data)
}

/**
 * Replaced columns as factors: A selects the inputs, B is the change of their columns. Of a convolution, A selects the
 * inputs at each place of the window, so that the rank is as many times the number of columns.
 */
export const columnFactors = ({
  tensors: { columns, values, base },
  inputs,
}: {
  readonly tensors: { readonly columns: Value<Shape, 'i32'>; readonly values: Floats; readonly base: Floats }
  readonly inputs: number
}): LowRank => {
  const field = values.sizes.slice(0, -2)
  const chosen = columns.data.length
  const rows = Int32Array.from({ length: count(field) * chosen }, (_, k) => {
    const place = Math.floor(k / chosen)
    return place * inputs + columns.data[k % chosen]!
  })
  const { data } = oneHots(count(field) * inputs, rows)
  const sizes = [...field, inputs, rows.length]
  const changes = values.data.map((x, i) => x - base.data[i]!)
  return {
    lora_A: { shape: sizes, sizes, dtype: 'f32', data },
    lora_B: matrix(rows.length, values.sizes.at(-1)!, changes),
    scale: 1,
  }
}

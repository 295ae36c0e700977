import type { Shape } from './shape/dim.ts'

/** Element types. `bf16` and `f16` data is kept as raw 16-bit words. */
export type DType = 'f32' | 'i32' | 'bool' | 'bf16' | 'f16'

/** The typed array for data of a dtype. */
export type DataOf<D extends DType> = D extends 'f32'
  ? Float32Array
  : D extends 'i32'
    ? Int32Array
    : D extends 'bool'
      ? Uint8Array
      : Uint16Array

/**
 * Data: a typed array (row-major), the names of its dims and, separately, their sizes.
 * @example const x: Value<readonly ['batch', 2]> = { shape: ['batch', 2], sizes: [1, 2], dtype: 'f32', data: new Float32Array(2) }
 */
export interface Value<in out S extends Shape = Shape, in out D extends DType = 'f32'> {
  readonly shape: S
  readonly sizes: readonly number[]
  readonly dtype: D
  readonly data: DataOf<D>
}

/** The number of elements of an array of these sizes. */
export const count = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1)

/** Bytes of one element. */
export const bytesPerElement: { readonly [D in DType]: number } = { f32: 4, i32: 4, bool: 1, bf16: 2, f16: 2 }

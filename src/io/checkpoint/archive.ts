import type * as TE from 'fp-ts/lib/TaskEither.js'
import { bf16ToF32, f16ToF32, type DataOf, type Shape, type Value } from '../../tensor/index.ts'
import { type InputFile } from '../../host/index.ts'
import { attempt, refusal, type IoError } from '../../text/index.ts'
import { finite } from './finite.ts'
import type { StoredDType, StoredValue } from './stored.ts'

export type { StoredDType, StoredValue } from './stored.ts'

/** One tensor of an archive, read on demand and never kept. */
export interface Entry {
  readonly name: string
  /** The dtype under its name in the file: 'F32', 'BF16', 'I64', 'Q4_1', ... */
  readonly dtype: string
  /** The sizes, outermost first, as PyTorch prints them. */
  readonly sizes: readonly number[]
  /** Bytes in the file. */
  readonly byteLength: number
  /**
   * The name of the tensor that this one repeats, in which case it is not in the file: a tied head that was separated.
   */
  readonly copyOf?: string
  /**
   * The tensor: quantized blocks as float32; F16 and BF16 as raw words; I64, U8 and BOOL as int32. Rejects with an
   * `IoError`, also for a number that is not finite.
   */
  read(): Promise<StoredValue>
  /** The tensor as float32, whatever floating-point or quantized type it has in the file. */
  readF32(): TE.TaskEither<IoError, Float32Array>
  /** `length` raw bytes of the file, from byte `offset` of the tensor on. Rejects with an `IoError`. */
  readRaw(offset: number, length: number): Promise<Uint8Array>
}

/**
 * A value in the header of an archive. Arrays of numbers are typed arrays; 64-bit integers that a number cannot
 * represent are bigints.
 */
export type MetadataValue = string | number | bigint | boolean | NumberArray | readonly MetadataValue[]
/** An array of numbers in a header. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/** An opened file of named tensors. */
export interface Archive {
  readonly path: string
  readonly tensors: ReadonlyMap<string, Entry>
  readonly metadata: ReadonlyMap<string, MetadataValue>
  close(): Promise<void>
}

/** A value with numeric dims. @example valueOf('f32', [2, 3], new Float32Array(6)) */
export const valueOf = <D extends StoredDType>(
  dtype: D,
  sizes: readonly number[],
  data: DataOf<D>,
): Value<Shape, D> => ({ shape: sizes, sizes, dtype, data })

/** The data of a value as float32; integers are refused. `name` is used in the message. */
export const toF32 = (name: string, value: StoredValue): Float32Array => {
  switch (value.dtype) {
    case 'f32':
      return value.data
    case 'bf16':
      return bf16ToF32(value.data)
    case 'f16':
      return f16ToF32(value.data)
    case 'i32':
      throw refusal(`${name}: the tensor holds integers: expected floating-point numbers`)
  }
}

/**
 * An entry from the place of its bytes (`start` in `file`) and a function that reads it. The numbers are checked to be
 * finite; for a tensor that is stored in blocks with a scale each, `block` is their length.
 */
export const entryOf = (
  file: InputFile,
  start: number,
  info: Pick<Entry, 'name' | 'dtype' | 'sizes' | 'byteLength'>,
  read: () => Promise<StoredValue>,
  block = 1,
): Entry => {
  const subject = `${file.path}: tensor ${info.name}`
  const readFinite = async (): Promise<StoredValue> => finite(subject, await read(), block)
  return {
    ...info,
    read: readFinite,
    readF32: () => attempt(subject, async () => toF32(subject, await readFinite())),
    readRaw: async (offset, length) => {
      if (!(offset >= 0 && length >= 0 && offset + length <= info.byteLength)) {
        throw refusal(`${subject}: it has ${info.byteLength} bytes, expected ${length} at byte ${offset}`)
      }
      return file.readBytes(start + offset, length)
    },
  }
}

/** The number of elements, or undefined if a size is not a natural number or the product is not a safe integer. */
export const elementCount = (sizes: readonly unknown[]): number | undefined => {
  let n = 1
  for (const size of sizes) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined
    n *= size
    if (!Number.isSafeInteger(n)) return undefined
  }
  return n
}

/** Sizes as text: `[64, 176]`. */
export const showSizes = (sizes: readonly number[]): string => `[${sizes.join(', ')}]`

import type { Buffer } from '../device.ts'

/**
 * The bytes of memory before data. Node allocates memory at multiples of 8, so such data begins at none, and the
 * kernels of TensorFlow need multiples of 16 or more.
 */
const offset = 4
const alignment = 8

/** A kind of array that is a view of memory, such as `Float32Array`. */
interface Arrays<A> {
  readonly BYTES_PER_ELEMENT: number
  new (memory: ArrayBuffer, from: number, length: number): A
}

/**
 * Allocates an array of zeros that TensorFlow copies when a tensor is made of it. tfjs-node gives TensorFlow the memory
 * of an array, and TensorFlow copies it only if it is not aligned for its kernels. Memory that it keeps is given back by
 * the thread that is the last to hold it. That may be a thread of TensorFlow's after the call has returned: the one that
 * ends a While holds its inputs for a moment more. tfjs-node then calls Node on this thread, which ends the process
 * sooner or later. And a variable that is assigned an input would have the caller's memory.
 * @example const ints = unshared(Int32Array, 3); ints.set([1, 2, 3])
 */
export const unshared = <A>(arrays: Arrays<A>, length: number): A =>
  new arrays(new ArrayBuffer(offset + length * arrays.BYTES_PER_ELEMENT), offset, length)

/** The data if it was allocated by `unshared`, and otherwise a copy that is. */
export const unsharedCopy = (dtype: 'f32' | 'i32' | 'bool', data: Buffer['data']): Buffer['data'] => {
  if (data.byteOffset % alignment === offset) return data
  const { length } = data
  const copy =
    dtype === 'f32'
      ? unshared(Float32Array, length)
      : dtype === 'i32'
        ? unshared(Int32Array, length)
        : unshared(Uint8Array, length)
  copy.set(data)
  return copy
}

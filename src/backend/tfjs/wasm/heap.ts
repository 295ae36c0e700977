import * as E from '../../../either/index.ts'
import { bytesText } from '../../../text/index.ts'
import type { HeapDType, Memory, TensorInfo, TfjsCore, WasmBackend } from './runtime.ts'

/** An error of a heap that is too small for a request. Sizes are in bytes. */
export interface OutOfMemory {
  readonly _tag: 'OutOfMemory'
  readonly requested: number
  readonly heap: number
  readonly message: string
}

/**
 * Typed views of the whole heap. Get them again after anything that allocates: growth detaches views of memory that is
 * not shared.
 */
export interface Views {
  readonly f32: Float32Array
  readonly i32: Int32Array
  readonly u8: Uint8Array
}

/** The heap of tfjs's wasm backend. */
export interface Heap {
  /** Allocates through the backend, so that tfjs counts and frees it; the content is not initialized. */
  readonly allocate: (sizes: readonly number[], dtype: HeapDType) => E.Either<OutOfMemory, TensorInfo>
  /** The place of a tensor's data, in bytes from the start of the heap. */
  readonly offset: (tensor: TensorInfo) => number
  readonly views: () => Views
  /** A view of one tensor's data, valid until something is allocated. */
  readonly f32: (tensor: TensorInfo) => Float32Array
  readonly i32: (tensor: TensorInfo) => Int32Array
  readonly bool: (tensor: TensorInfo) => Uint8Array
  /**
   * Lets the heap grow once to hold `bytes` more bytes, instead of a little at each allocation. If it cannot grow,
   * allocations will fail.
   */
  readonly reserve: (bytes: number) => void
  /** The heap's present size in bytes; it never shrinks. */
  readonly heapBytes: () => number
}

/** WebAssembly's limit for 32-bit memories. */
export const maximumHeapBytes = 65536 * 65536

const elementBytes: { readonly [D in HeapDType]: number } = { float32: 4, int32: 4, bool: 1 }

const size = (shape: readonly number[]): number => shape.reduce((n, length) => n * length, 1)

const outOfMemory = (requested: number, used: number, heap: number): OutOfMemory => ({
  _tag: 'OutOfMemory',
  requested,
  heap,
  message:
    `out of memory: ${bytesText(requested, 'up')} more are needed while ${bytesText(used)} of tensors are held, and the wasm heap holds ` +
    `at most ${bytesText(maximumHeapBytes, 'down')}`,
})

/**
 * Makes the heap of a backend. `allocate` refuses tensors that tfjs would place at offset 0 or beyond the heap, where
 * they would silently overwrite the runtime.
 * @example const heap = makeHeap(core, backend, memory); const out = heap.allocate([2, 3], 'float32')
 */
export const makeHeap = (core: TfjsCore, backend: WasmBackend, memory: Memory): Heap => {
  let views: Views = {
    f32: new Float32Array(memory.buffer),
    i32: new Int32Array(memory.buffer),
    u8: new Uint8Array(memory.buffer),
  }
  const current = (): Views => {
    const { buffer } = memory
    if (views.u8.buffer !== buffer)
      views = { f32: new Float32Array(buffer), i32: new Int32Array(buffer), u8: new Uint8Array(buffer) }
    return views
  }
  const offset = (tensor: TensorInfo): number => backend.dataIdMap.get(tensor.dataId).memoryOffset
  return {
    allocate: (sizes, dtype) => {
      const bytes = size(sizes) * elementBytes[dtype]
      const { numBytes } = core.engine().state
      // malloc's result cannot be trusted near the limit, so such a request never reaches it
      if (numBytes + bytes >= maximumHeapBytes) return E.left(outOfMemory(bytes, numBytes, memory.buffer.byteLength))
      const info = backend.makeOutput(sizes, dtype)
      const at = offset(info)
      if (at !== 0 && at + bytes <= memory.buffer.byteLength) return E.right(info)
      backend.disposeData(info.dataId, true)
      return E.left(outOfMemory(bytes, numBytes, memory.buffer.byteLength))
    },
    offset,
    views: current,
    f32: tensor => current().f32.subarray(offset(tensor) / 4, offset(tensor) / 4 + size(tensor.shape)),
    i32: tensor => current().i32.subarray(offset(tensor) / 4, offset(tensor) / 4 + size(tensor.shape)),
    bool: tensor => current().u8.subarray(offset(tensor), offset(tensor) + size(tensor.shape)),
    reserve: bytes => {
      if (core.engine().state.numBytes + bytes >= maximumHeapBytes) return
      const at = bytes > 0 ? backend.wasm._malloc(Math.ceil(bytes)) : 0
      if (at !== 0) backend.wasm._free(at)
    },
    heapBytes: () => memory.buffer.byteLength,
  }
}

import * as E from 'fp-ts/lib/Either.js'
import { createWasmBackend, type WasmRuntime } from '../../src/backend/tfjs/wasm/index.ts'

/** A loaded backend; fails the test if it does not load. */
export const load = async (threads: number): Promise<WasmRuntime> => {
  const runtime = await createWasmBackend({ threads })
  if (E.isLeft(runtime)) throw new Error(runtime.left.message)
  // the tests call tfjs's own functions too
  await runtime.right.core.setBackend('wasm')
  return runtime.right
}

/** Runs a test with a backend and disposes of it. */
export const withRuntime =
  (threads: number, body: (runtime: WasmRuntime) => void | Promise<void>) => async (): Promise<void> => {
    const runtime = await load(threads)
    try {
      await body(runtime)
    } finally {
      await runtime.dispose()
    }
  }

/** A stream of numbers in [0, 1) from a seed. */
export { randomFrom as random } from './seeded.ts'

/** n float32 numbers in [low, high). */
export const uniform = (next: () => number, n: number, low = -2, high = 2): Float32Array =>
  Float32Array.from({ length: n }, () => low + (high - low) * next())

/** A region of the heap handed out from its start, for tests; every part is followed by a guard word. */
export interface Arena {
  readonly put: (data: Float32Array | Int32Array) => number
  readonly reserve: (n: number) => number
  readonly read: (offset: number, n: number) => Float32Array
  readonly readInts: (offset: number, n: number) => Int32Array
  /** Tests whether all guard words are unchanged. */
  readonly intact: () => boolean
  readonly reset: (misalignment?: number) => void
  readonly dispose: () => void
}

const guard = 0x7f4a1c3d

export const arena = (runtime: WasmRuntime, elements = 1 << 16): Arena => {
  const info = runtime.heap.allocate([elements], 'float32')
  if (E.isLeft(info)) throw new Error(info.left.message)
  const tensor = runtime.core.engine().makeTensorFromTensorInfo(info.right)
  const start = runtime.heap.offset(tensor)
  const guards: number[] = []
  let next = start
  const reserve = (n: number): number => {
    const at = next + 4
    next = at + 4 * n
    if (next + 4 > start + 4 * elements) throw new Error('the arena is too small')
    const { i32 } = runtime.heap.views()
    for (const place of [at - 4, next]) {
      i32[place / 4] = guard
      guards.push(place)
    }
    return at
  }
  return {
    reserve,
    put: data => {
      const at = reserve(data.length)
      const { f32, i32 } = runtime.heap.views()
      if (data instanceof Float32Array) f32.set(data, at / 4)
      else i32.set(data, at / 4)
      return at
    },
    read: (offset, n) => runtime.heap.views().f32.slice(offset / 4, offset / 4 + n),
    readInts: (offset, n) => runtime.heap.views().i32.slice(offset / 4, offset / 4 + n),
    intact: () => guards.every(place => runtime.heap.views().i32[place / 4] === guard),
    reset: (misalignment = 0) => {
      guards.length = 0
      next = start + 4 * misalignment
    },
    dispose: () => tensor.dispose(),
  }
}

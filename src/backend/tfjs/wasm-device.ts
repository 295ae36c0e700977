import { SessionError, type Buffer, type Device } from '../device.ts'
import { tfjsData, tfjsDevice, type Handle } from './device.ts'
import { within } from './host.ts'
import { allocateOn, heapLowerings, type HeapLowerings } from './heap-lowerings.ts'
import { isStep } from './heap-steps.ts'
import { inPlaceIn, type Lowering } from './lowering.ts'
import { kernelsOf } from './backend-kernels.ts'
import { hostLowering, publicLowerings } from './public-lowerings.ts'
import {
  createWasmBackend,
  maximumHeapBytes,
  type TensorInfo,
  type TfjsTensor,
  type WasmRuntime,
} from './wasm/index.ts'

interface Options {
  readonly threads: number
  /** The address of the backend's files, for a browser. */
  readonly files?: string | undefined
}

interface Loaded {
  readonly runtime: WasmRuntime
  readonly lowerings: HeapLowerings
  readonly freeScratch: () => void
  readonly fallback: Lowering
  readonly read: (x: TensorInfo) => ArrayLike<number>
}

/** The backend that sessions share, because tfjs holds only one wasm backend; the last session removes it. */
let shared: { readonly loaded: Promise<Loaded>; users: number } | undefined

const start = async (threads: number, files: string | undefined): Promise<Loaded> => {
  const created = await createWasmBackend({ threads, files })
  if (created._tag === 'Left') throw new SessionError(created.left.message)
  const runtime = created.right
  const kernels = kernelsOf(runtime.core.getKernel, 'wasm', runtime.backend)
  const fallback = hostLowering(kernels)
  return { runtime, ...heapLowerings(runtime, publicLowerings(kernels), fallback), fallback, read: kernels.readSync }
}

const acquire = async (threads: number, files: string | undefined): Promise<Loaded> => {
  const own = (shared ??= { loaded: start(threads, files), users: 0 })
  own.users += 1
  try {
    return await own.loaded
  } catch (error) {
    // another may have started in the meantime
    if (shared === own) shared = undefined
    throw error
  }
}

const release = async (): Promise<void> => {
  if (shared === undefined) return
  shared.users -= 1
  if (shared.users > 0) return
  const { loaded } = shared
  shared = undefined
  const { runtime, freeScratch } = await loaded
  freeScratch()
  await runtime.dispose()
}

/**
 * The embedded target: tfjs's wasm backend with products and kernels of our own on its heap. While one session is open,
 * others share its backend and its threads.
 * @example const device = await wasmDevice({ threads: 2 })
 */
export const wasmDevice = async ({ threads, files }: Options): Promise<Device<Handle>> =>
  deviceOn(await acquire(threads, files))

const deviceOn = ({ runtime, lowerings, fallback, read }: Loaded): Device<Handle> => {
  const { core, heap } = runtime
  const name = `tfjs wasm, ${runtime.threads} ${runtime.threads === 1 ? 'thread' : 'threads'}`
  const engine = core.engine()
  const track = engine.makeTensorFromTensorInfo.bind(engine)
  const viewOf = (tensor: TfjsTensor): Float32Array | Int32Array | Uint8Array =>
    tensor.dtype === 'float32' ? heap.f32(tensor) : tensor.dtype === 'int32' ? heap.i32(tensor) : heap.bool(tensor)
  let open = true
  return tfjsDevice({
    name,
    track,
    lowerings,
    fallback,
    limit: maximumHeapBytes - 2 ** 28,
    within: work => within(core, 'wasm', work),
    upload: (buffer: Buffer) => {
      const data = tfjsData(buffer, name)
      const tensor = track(allocateOn(heap, buffer.sizes, buffer.dtype))
      viewOf(tensor).set(data)
      return tensor
    },
    read,
    download: tensor => Promise.resolve(viewOf(tensor).slice()),
    inPlace: inPlaceIn(lowerings),
    isStep,
    reserve: bytes => runtime.heap.reserve(bytes),
    dispose: async () => {
      if (!open) return
      open = false
      await release()
    },
  })
}

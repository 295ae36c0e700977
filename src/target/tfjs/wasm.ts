import { SessionError, type Buffer, type Device } from '../device.ts'
import { tfjsData, tfjsDevice, type Handle } from './device.ts'
import { heapLowerings, putInPlace } from './heap-lowerings.ts'
import { kernelsOf } from './registered.ts'
import { publicLowerings } from './public-lowerings.ts'
import { createWasmBackend, maximumHeapBytes, type TfjsTensor, type WasmRuntime } from './wasm/index.ts'

const dtypes = { f32: 'float32', i32: 'int32', bool: 'bool' } as const

/**
 * The embedded target: tfjs's wasm backend with products and kernels of our own on its heap.
 * @example const device = await wasmDevice({ threads: 2 })
 */
export const wasmDevice = async ({ threads }: { readonly threads: number }): Promise<Device<Handle>> => {
  const created = await createWasmBackend({ threads })
  if (created._tag === 'Left') throw new SessionError(created.left.message)
  return deviceOn(created.right)
}

const deviceOn = (runtime: WasmRuntime): Device<Handle> => {
  const { core, heap } = runtime, name = `tfjs wasm, ${runtime.threads} ${runtime.threads === 1 ? 'thread' : 'threads'}`
  const engine = core.engine(), before = engine.memory().numBytes
  const track = engine.makeTensorFromTensorInfo.bind(engine)
  const viewOf = (tensor: TfjsTensor): Float32Array | Int32Array | Uint8Array =>
    tensor.dtype === 'float32' ? heap.f32(tensor) : tensor.dtype === 'int32' ? heap.i32(tensor) : heap.bool(tensor)
  const publicly = publicLowerings(kernelsOf('wasm', runtime.backend))
  return tfjsDevice({
    name, track,
    lowerings: heapLowerings(runtime, publicly),
    limit: maximumHeapBytes - 2 ** 28,
    upload: (buffer: Buffer) => {
      const data = tfjsData(buffer, name), made = heap.allocate(buffer.sizes, dtypes[buffer.dtype as keyof typeof dtypes])
      if (made._tag === 'Left') throw new SessionError(made.left.message)
      const tensor = track(made.right)
      viewOf(tensor).set(data)
      return tensor
    },
    download: tensor => Promise.resolve(viewOf(tensor).slice()),
    update: putInPlace(runtime),
    bytes: () => engine.memory().numBytes - before,
    dispose: () => { runtime.dispose(); return Promise.resolve() },
  })
}

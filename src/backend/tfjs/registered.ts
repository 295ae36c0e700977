import * as tfjs from '@tensorflow/tfjs-core'
import { around, outside } from '../../tensor/index.ts'
import { SessionError, type Buffer, type Device } from '../device.ts'
import { tfjsData, tfjsDevice, type Handle } from './device.ts'
import { startBackend, within } from './host.ts'
import { attributesOf, tfjsDType, type Lowering, type Lowerings, type TfjsDType } from './lowering.ts'
import { hostLowering, publicLowerings, type Kernels } from './public-lowerings.ts'
import type { HeapDType, TensorInfo, TfjsTensor } from './wasm/index.ts'

/** The members of a backend that are used in addition to its kernels. */
interface RegisteredBackend {
  readSync(dataId: object): ArrayLike<number>
  write(values: ArrayLike<number>, shape: readonly number[], dtype: HeapDType): object
  disposeData(dataId: object): boolean
}

/**
 * Tests for a tensor that tfjs has already counted, as tfjs-node's kernels return it; other kernels return one that
 * must still be counted.
 */
const isCounted = (x: TensorInfo): x is TensorInfo & TfjsTensor => x instanceof tfjs.Tensor

/** The kernels of a backend by name, called without tfjs's tape and scopes. */
export const kernelsOf = (name: string, backend: unknown): Kernels => {
  // every tfjs backend has these three
  const data = backend as RegisteredBackend
  return {
    has: kernelName => (tfjs.getKernel(kernelName, name) ?? undefined) !== undefined,
    run: (kernelName, inputs, attributes = {}) => {
      const kernel = tfjs.getKernel(kernelName, name)
      if (kernel === undefined || kernel === null)
        throw new SessionError(`the ${name} backend of TensorFlow.js has no kernel ${kernelName}`)
      // the kernels used here return one tensor
      return kernel.kernelFunc({ inputs, attrs: attributes, backend: data } as never) as unknown as TensorInfo
    },
    make: (values, sizes, dtype) => {
      const heapDtype = tfjsDType[dtype as TfjsDType]
      return { dataId: data.write(values, sizes, heapDtype), shape: [...sizes], dtype: heapDtype }
    },
    read: x => data.readSync(x.dataId),
    free: x => {
      if (isCounted(x)) x.dispose()
      else data.disposeData(x.dataId)
    },
  }
}

/**
 * Silences the cpu backend, which advertises another package on standard error at its first write, unless tfjs runs in
 * production mode.
 */
const quietly = (firstWrite: () => void): void => {
  const flags = tfjs.env()
  const before = flags.getBool('PROD')
  flags.set('PROD', true)
  try {
    firstWrite()
  } finally {
    flags.set('PROD', before)
  }
}

/**
 * Any backend that is registered with tfjs-core: its public kernels, with explicit disposal.
 * @example import '@tensorflow/tfjs-backend-cpu'; const device = await registeredDevice('cpu')
 */
export const registeredDevice = async (name: string, title = `tfjs ${name}`): Promise<Device<Handle>> => {
  if (tfjs.findBackendFactory(name) === null)
    throw new SessionError(`TensorFlow.js has no backend called ${name}: import its package first`)
  if (!(await startBackend(tfjs, name))) throw new SessionError(`the ${name} backend of TensorFlow.js does not start`)
  const engine = tfjs.engine()
  const kernels = kernelsOf(name, tfjs.findBackend(name))
  quietly(() => {
    kernels.free(kernels.make(new Float32Array(1), [1], 'f32'))
  })
  const publicly = publicLowerings(kernels)
  const onHost = putOnHost(kernels)
  const lowerings: Lowerings =
    name !== 'cpu'
      ? publicly
      : {
          ...publicly,
          put: call => {
            const copying = publicly.put(call)
            const inPlace = onHost(call)
            return (inputs, into) => (into ? inPlace : copying)(inputs, into)
          },
        }
  // tfjs's own tensor, typed by the part that the executor needs
  const track = (info: TensorInfo): TfjsTensor =>
    isCounted(info) ? info : (engine.makeTensorFromTensorInfo(info as never) as unknown as TfjsTensor)
  return tfjsDevice({
    name: title,
    track,
    lowerings,
    fallback: hostLowering(kernels),
    limit: undefined,
    within: work => within(tfjs, name, work),
    upload: (buffer: Buffer) => track(kernels.make(tfjsData(buffer, title).slice(), buffer.sizes, buffer.dtype)),
    download: async tensor => (await (tensor as unknown as tfjs.Tensor).data()).slice() as Buffer['data'],
    // a tensor of TensorFlow knows its sizes; its Reshape copies nothing
    ...(name === 'tensorflow' ? { view: (x, sizes) => track(kernels.run('Reshape', { x }, { shape: sizes })) } : {}),
    inPlace: name === 'cpu' ? new Map([['put', [0]]]) : new Map(),
    dispose: () => Promise.resolve(),
  })
}

/** Lowers `put` for the cpu backend, whose data is a writable typed array, so that it changes in place. */
const putOnHost =
  ({ read }: Kernels): Lowering =>
  ({ node, inputs: [x, , values] }) => {
    const { axis } = attributesOf<{ readonly axis: number }>(node)
    const sizes = x!.sizes
    const n = values!.sizes[axis]!
    const [outer, , inner] = around(sizes, axis)
    return ([, index, from], into) => {
      const to = read(into!) as Float32Array
      const at = read(index!)
      const data = read(from!) as Float32Array
      const wrong = outside(at, sizes[axis]!)
      if (wrong !== undefined) throw new SessionError(`put: ${wrong}`)
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < n; i++) {
          to.set(data.subarray((o * n + i) * inner, (o * n + i + 1) * inner), (o * sizes[axis]! + at[i]!) * inner)
        }
      return into!
    }
  }

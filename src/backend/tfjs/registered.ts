import * as tfjs from '@tensorflow/tfjs-core'
import type { InPlace } from '../../compile/index.ts'
import { SessionError, type Buffer, type Device } from '../device.ts'
import { tfjsData, tfjsDevice, type Handle } from './device.ts'
import { startBackend, within } from './host.ts'
import { tfjsDType, type Lowerings, type TfjsDType } from './lowering.ts'
import { hostLowering, publicLowerings, type Kernels, type Scattering } from './public-lowerings.ts'
import type { HeapDType, TensorInfo, TfjsTensor } from './wasm/index.ts'

/** The members of a backend that are used in addition to its kernels. */
interface RegisteredBackend {
  read(dataId: object): Promise<ArrayLike<number>>
  readSync(dataId: object): ArrayLike<number>
  write(values: ArrayLike<number>, shape: readonly number[], dtype: HeapDType): object
  disposeData(dataId: object): boolean
}

/**
 * Tests for a tensor that tfjs has already counted, as tfjs-node's kernels return it; other kernels return one that
 * must still be counted.
 */
const isCounted = (x: TensorInfo): x is TensorInfo & TfjsTensor => x instanceof tfjs.Tensor

/** The kernels of a registered backend, and its data. */
export interface RegisteredKernels extends Kernels {
  readonly read: (x: TensorInfo) => Promise<ArrayLike<number>>
  /** The numbers of a buffer at once, which not every backend supports. */
  readonly readSync: (x: TensorInfo) => ArrayLike<number>
}

/** The kernels of a backend by name, called without tfjs's tape and scopes. */
export const kernelsOf = (name: string, backend: unknown): RegisteredKernels => {
  // every tfjs backend has these methods
  const data = backend as RegisteredBackend
  return {
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
    read: x => data.read(x.dataId),
    readSync: x => data.readSync(x.dataId),
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

/** The features in which a backend differs from others. */
export interface Particulars extends Scattering {
  readonly title?: string
  /** True if its numbers can be read at once; otherwise they are awaited. */
  readonly readsAtOnce?: boolean
  /** Lowerings of its own, instead of some of the public ones. */
  readonly lowerings?: (kernels: RegisteredKernels) => Partial<Lowerings>
  readonly inPlace?: InPlace
  /** The same data with other sizes, if its buffers know theirs. */
  readonly view?: (kernels: RegisteredKernels, x: TensorInfo, sizes: readonly number[]) => TensorInfo
}

/**
 * Any backend that is registered with tfjs-core: its public kernels, with explicit disposal.
 * @example import '@tensorflow/tfjs-backend-webgpu'; const device = await registeredDevice('webgpu')
 */
export const registeredDevice = async (
  name: string,
  {
    title = `tfjs ${name}`,
    readsAtOnce = false,
    lowerings,
    inPlace = new Map(),
    view,
    copiesToScatter = false,
  }: Particulars = {},
): Promise<Device<Handle>> => {
  if (tfjs.findBackendFactory(name) === null)
    throw new SessionError(`TensorFlow.js has no backend called ${name}: import its package first`)
  if (!(await startBackend(tfjs, name))) throw new SessionError(`the ${name} backend of TensorFlow.js does not start`)
  const engine = tfjs.engine()
  const kernels = kernelsOf(name, tfjs.findBackend(name))
  quietly(() => {
    kernels.free(kernels.make(new Float32Array(1), [1], 'f32'))
  })
  // tfjs's own tensor, typed by the part that the executor needs
  const track = (info: TensorInfo): TfjsTensor =>
    isCounted(info) ? info : (engine.makeTensorFromTensorInfo(info as never) as unknown as TfjsTensor)
  return tfjsDevice({
    name: title,
    track,
    lowerings: { ...publicLowerings(kernels, { copiesToScatter }), ...lowerings?.(kernels) },
    fallback: hostLowering(kernels),
    limit: undefined,
    within: work => within(tfjs, name, work),
    upload: (buffer: Buffer) => track(kernels.make(tfjsData(buffer, title).slice(), buffer.sizes, buffer.dtype)),
    read: readsAtOnce ? kernels.readSync : kernels.read,
    download: async tensor => (await (tensor as unknown as tfjs.Tensor).data()).slice() as Buffer['data'],
    ...(view === undefined ? {} : { view: (x, sizes) => track(view(kernels, x, sizes)) }),
    inPlace,
    dispose: () => Promise.resolve(),
  })
}

import type * as tfjs from '@tensorflow/tfjs-core'
import type { InPlace } from '../../compile/index.ts'
import { SessionError, type Buffer, type Device } from '../device.ts'
import { tfjsData, tfjsDevice, type Handle } from './device.ts'
import { startBackend, within } from './host.ts'
import { isCounted, kernelsOf, type RegisteredKernels } from './backend-kernels.ts'
import type { Lowerings } from './lowering.ts'
import { hostLowering, publicLowerings, type Scattering } from './public-lowerings.ts'
import type { TensorInfo, TfjsTensor } from './wasm/index.ts'

/** tfjs-core, which a target loads when it opens. */
type Core = typeof tfjs

/**
 * Silences the cpu backend, which advertises another package on standard error at its first write, unless tfjs runs in
 * production mode.
 */
const quietly = (core: Core, firstWrite: () => void): void => {
  const flags = core.env()
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
  const core = await import('@tensorflow/tfjs-core')
  if (core.findBackendFactory(name) === null)
    throw new SessionError(`TensorFlow.js has no backend called ${name}: import its package first`)
  if (!(await startBackend(core, name))) throw new SessionError(`the ${name} backend of TensorFlow.js does not start`)
  const engine = core.engine()
  const kernels = kernelsOf(core.getKernel, name, core.findBackend(name))
  quietly(core, () => {
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
    within: work => within(core, name, work),
    upload: (buffer: Buffer) => track(kernels.make(tfjsData(buffer, title).slice(), buffer.sizes, buffer.dtype)),
    read: readsAtOnce ? kernels.readSync : kernels.read,
    download: async tensor => (await (tensor as unknown as tfjs.Tensor).data()).slice() as Buffer['data'],
    ...(view === undefined ? {} : { view: (x, sizes) => track(view(kernels, x, sizes)) }),
    inPlace,
    dispose: () => Promise.resolve(),
  })
}

import { SessionError } from '../device.ts'
import { tfjsDType, type TfjsDType } from './lowering.ts'
import type { Kernels } from './lowering.ts'
import type { HeapDType, TensorInfo, TfjsCore, TfjsTensor } from './wasm/index.ts'

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
export const isCounted = (x: TensorInfo): x is TensorInfo & TfjsTensor => 'dispose' in x

/** The kernels of a registered backend, and its data. */
export interface RegisteredKernels extends Kernels {
  readonly read: (x: TensorInfo) => Promise<ArrayLike<number>>
  /** The numbers of a buffer at once, which not every backend supports. */
  readonly readSync: (x: TensorInfo) => ArrayLike<number>
}

/** The kernels of a backend by name, called without tfjs's tape and scopes. */
export const kernelsOf = (getKernel: TfjsCore['getKernel'], name: string, backend: unknown): RegisteredKernels => {
  // every tfjs backend has these methods
  const data = backend as RegisteredBackend
  return {
    run: (kernelName, inputs, attributes = {}) => {
      const kernel = getKernel(kernelName, name)
      if (kernel === undefined || kernel === null)
        throw new SessionError(`the ${name} backend of TensorFlow.js has no kernel ${kernelName}`)
      // the kernels used here return one tensor
      return kernel.kernelFunc({ inputs, attrs: attributes, backend: data } as never) as TensorInfo
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

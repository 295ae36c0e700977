import * as tfjs from '@tensorflow/tfjs-core'
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu'
import { SessionError, type Device } from '../../src/backend/index.ts'
import { startBackend } from '../../src/backend/tfjs/host.ts'
import type { Handle } from '../../src/backend/tfjs/device.ts'
import { registeredDevice } from '../../src/backend/tfjs/registered.ts'

/** The name under which the backend is registered. */
export const unhurried = 'unhurried'
/** Depth of the kernels that run: they may read what they compute with. */
let inKernel = 0
/** Numbers that were asked for, and came later. */
export const asked = { reads: 0 }

/** The cpu backend as WebGPU's: it gives its numbers later, and never at once. */
class Unhurried extends MathBackendCPU {
  override readSync(dataId: object): tfjs.backend_util.BackendValues {
    if (inKernel === 0) throw new SessionError('this backend has no synchronous read')
    return super.readSync(dataId)
  }
  override async read(dataId: object): Promise<tfjs.backend_util.BackendValues> {
    asked.reads += 1
    // a macrotask: whatever else is ready runs before
    await new Promise(resolve => setTimeout(resolve))
    return super.readSync(dataId)
  }
}

/**
 * A device whose numbers can only be awaited: it proves that a target without a synchronous read, as WebGPU, can run
 * every op.
 */
export const unhurriedDevice = async (): Promise<Device<Handle>> => {
  if (tfjs.findBackendFactory(unhurried) === null) {
    tfjs.registerBackend(unhurried, () => new Unhurried(), 0)
    for (const kernel of tfjs.getKernelsForBackend('cpu'))
      tfjs.registerKernel({
        ...kernel,
        backendName: unhurried,
        kernelFunc: given => {
          inKernel += 1
          try {
            return kernel.kernelFunc(given)
          } finally {
            inKernel -= 1
          }
        },
      })
    await startBackend(tfjs, unhurried)
  }
  return registeredDevice(unhurried)
}

import { around, outside } from '../../tensor/index.ts'
import { SessionError, type Device } from '../device.ts'
import type { Handle } from './device.ts'
import { attributesOf, type Lowering } from './lowering.ts'
import type { RegisteredKernels } from './backend-kernels.ts'
import { registeredDevice } from './registered.ts'

/**
 * Lowers `put` for the cpu backend, whose data is a writable typed array: it changes the data in place, or a copy of
 * it.
 */
const putOnHost =
  ({ readSync, make }: RegisteredKernels): Lowering =>
  ({ node, inputs: [x, , values] }) => {
    const { axis } = attributesOf<{ readonly axis: number }>(node)
    const { sizes, dtype } = x!
    const n = values!.sizes[axis]!
    const [outer, , inner] = around(sizes, axis)
    return ([whole, index, from], into) => {
      const at = readSync(index!)
      const data = readSync(from!) as Float32Array
      const wrong = outside(at, sizes[axis]!)
      if (wrong !== undefined) throw new SessionError(`put: ${wrong}`)
      // the array read for floats is the stored data itself; for truth values it is a copy, which no plan writes in
      // place
      const to = into === undefined ? (readSync(whole!) as Float32Array).slice() : (readSync(into) as Float32Array)
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < n; i++) {
          to.set(data.subarray((o * n + i) * inner, (o * n + i + 1) * inner), (o * sizes[axis]! + at[i]!) * inner)
        }
      return into ?? make(to, sizes, dtype)
    }
  }

/**
 * TensorFlow.js's plain JavaScript backend.
 * @example const device = await cpuDevice()
 */
export const cpuDevice = async (): Promise<Device<Handle>> => {
  await import('@tensorflow/tfjs-backend-cpu')
  return registeredDevice('cpu', {
    readsAtOnce: true,
    lowerings: kernels => ({ put: putOnHost(kernels) }),
    inPlace: new Map([['put', [0]]]),
  })
}

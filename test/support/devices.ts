import { referenceDevice, type Device } from '../../src/backend/index.ts'
import { nodeDevice } from '../../src/backend/native/device.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { unhurriedDevice } from './unhurried-device.ts'

/** Every device that runs plans, by name. */
export const devices: readonly (readonly [title: string, open: () => Promise<Device<unknown>>])[] = [
  ['reference', () => Promise.resolve(referenceDevice() as Device<unknown>)],
  [
    'tfjs cpu',
    async () => {
      const { cpuDevice } = await import('../../src/backend/tfjs/cpu-device.ts')
      return (await cpuDevice()) as Device<unknown>
    },
  ],
  ['tfjs with asynchronous reads', async () => (await unhurriedDevice()) as Device<unknown>],
  ['tfjs node', async () => (await nodeDevice()) as Device<unknown>],
  ['tfjs wasm with one thread', async () => (await wasmDevice({ threads: 1 })) as Device<unknown>],
  ['tfjs wasm with two threads', async () => (await wasmDevice({ threads: 2 })) as Device<unknown>],
]

import { deviceEngine } from '../device-engine.ts'
import { explainPlans, loads, needing, type Target } from '../target.ts'

const load = () => needing('@tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm', () => import('./wasm-device.ts'))

/** TensorFlow.js's wasm backend, with matrix products and kernels of Partensor's own on its heap. */
export const wasmTarget = {
  name: 'wasm',
  precisions: ['f32'],
  threaded: true,
  priority: 1,
  available: () => loads(load, 'it needs nothing that is built'),
  open: async ({ threads = Number.POSITIVE_INFINITY }) => {
    const { wasmDevice } = await load()
    return deviceEngine(await wasmDevice({ threads }))
  },
  explain: explainPlans,
} as const satisfies Target

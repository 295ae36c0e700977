import * as E from '../../either/index.ts'
import { deviceEngine } from '../device-engine.ts'
import { foreseePlans } from '../foresee.ts'
import { explainPlans, needing, type Target } from '../target.ts'
import { wasmDevice } from './wasm-device.ts'

const packages = '@tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm'

/** TensorFlow.js's wasm backend, with matrix products and kernels of Partensor's own on its heap. */
export const wasmTarget = {
  name: 'wasm',
  precisions: ['f32'],
  threaded: true,
  priority: 1,
  available: () => Promise.resolve(E.right('it needs nothing that is built')),
  open: async ({ threads = Number.POSITIVE_INFINITY, files }) =>
    deviceEngine(await needing(packages, () => wasmDevice({ threads, files }))),
  explain: explainPlans,
  foresee: foreseePlans(() => needing(packages, () => wasmDevice({ threads: 1 }))),
} as const satisfies Target

import { deviceEngine } from '../device-engine.ts'
import { foreseePlans } from '../foresee.ts'
import { cpuDevice } from './cpu-device.ts'
import { explainPlans, loads, needing, type Target } from '../target.ts'

const load = () => needing('@tensorflow/tfjs-backend-cpu', () => import('@tensorflow/tfjs-backend-cpu'))

/** TensorFlow.js's plain JavaScript backend, through its public kernels. */
export const cpuTarget = {
  name: 'cpu',
  precisions: ['f32'],
  needs: '@tensorflow/tfjs-backend-cpu',
  available: () => loads(load, 'it needs nothing that is built'),
  open: async () => {
    await load()
    return deviceEngine(await cpuDevice())
  },
  explain: explainPlans,
  foresee: foreseePlans(async () => {
    await load()
    return cpuDevice()
  }),
} as const satisfies Target

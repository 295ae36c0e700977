import { deviceEngine } from '../device-engine.ts'
import { explainPlans, loads, needing, type Target } from '../target.ts'

const load = async () => {
  await needing('@tensorflow/tfjs-backend-cpu', () => import('@tensorflow/tfjs-backend-cpu'))
  return import('./registered.ts')
}

/** TensorFlow.js's plain JavaScript backend, through its public kernels. */
export const cpuTarget = {
  name: 'cpu',
  precisions: ['f32'],
  available: () => loads(load, 'it needs nothing that is built'),
  open: async () => {
    const { registeredDevice } = await load()
    return deviceEngine(await registeredDevice('cpu'))
  },
  explain: explainPlans,
} as const satisfies Target

import * as E from '../../either/index.ts'
import { deviceEngine } from '../device-engine.ts'
import { foreseePlans } from '../foresee.ts'
import { nativeModules } from './modules.ts'
import type { Native } from './native.ts'
import { asked, explainPlans, needing, type Target } from '../target.ts'

const packages = '@tensorflow/tfjs-core'

/** TensorFlow's own kernels, one by one, through tfjs-node. */
export const nodeTarget = {
  name: 'node',
  precisions: ['f32'],
  needs: 'TensorFlow (`partensor native install`)',
  available: () =>
    asked(async () => {
      const { openNative } = await needing(packages, nativeModules.load)
      return E.map(({ from }: Native) => `TensorFlow from ${from}`)(await openNative())
    }),
  open: async () => {
    const { nodeDevice } = await needing(packages, nativeModules.device)
    return deviceEngine(await nodeDevice())
  },
  explain: explainPlans,
  foresee: foreseePlans(async () => {
    const { nodeDevice } = await needing(packages, nativeModules.device)
    return nodeDevice()
  }),
} as const satisfies Target

import * as E from '../../either/index.ts'
import { deviceEngine } from '../device-engine.ts'
import { foreseePlans } from '../foresee.ts'
import { explainPlans, type Target } from '../target.ts'
import { referenceDevice } from './device.ts'

/** Float64, by each op's own definition. */
export const referenceTarget = {
  name: 'reference',
  precisions: ['f32'],
  available: () => Promise.resolve(E.right('it needs nothing')),
  open: () => Promise.resolve(deviceEngine(referenceDevice())),
  explain: explainPlans,
  foresee: foreseePlans(() => Promise.resolve(referenceDevice())),
} as const satisfies Target

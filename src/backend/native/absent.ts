import { SessionError } from '../device.ts'
import type { nativeModules as modules } from './modules.ts'

const absent = (): Promise<never> =>
  Promise.reject(
    new SessionError('this target needs TensorFlow, which no browser has: wasm, cpu and reference run there'),
  )

/** The refusals that stand in place of `modules.ts` in a browser. */
export const nativeModules: typeof modules = {
  load: absent,
  device: absent,
  abilities: absent,
  graphEngine: absent,
  graphExplain: absent,
  graphForesee: absent,
}

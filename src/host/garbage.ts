import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Makes Node collect its garbage. The arrays that a model's weights were read into lie outside Node's heap, so the
 * collector does not see how much memory they hold: some 140 MB after SmolLM2 is loaded, until the next collection,
 * which may be minutes away.
 * @example collectGarbage()
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  // a context that was created with the flag has the function
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

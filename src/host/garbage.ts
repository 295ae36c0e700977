import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Has Node give back what is no longer used. Arrays that a model's weights were read into lie outside of Node's heap,
 * which does not notice how many there are: after SmolLM2 is loaded that is some 140 MB until the next collection,
 * which may be minutes away.
 * @example collectGarbage()
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  // a context that was made with the flag has the function
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

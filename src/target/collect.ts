import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Has Node give back what is no longer used. Arrays that a model's weights were read into lie outside of Node's heap, which does not
 * notice how many there are: after SmolLM2 is loaded that is some 140 MB until the next collection, which may be minutes away.
 * @example collectGarbage()
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  // a context that was made with the flag has the function
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

/**
 * Keeps Node's heap from growing ahead of what is used: compiling a step makes many small things that die young, for which Node
 * would take some 30 MB and keep them.
 */
export const keepHeapSmall = (): void => { setFlagsFromString('--semi-space-growth-factor=1') }

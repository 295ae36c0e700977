import { setFlagsFromString } from 'node:v8'

/**
 * Keeps Node's heap from growing ahead of its use, if it is called before anything large is loaded: compiling a step
 * makes many small things that die young, for which Node would take some 30 MB and keep them.
 * @example keepHeapSmall()
 */
export const keepHeapSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1')
}

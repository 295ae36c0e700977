import { setFlagsFromString } from 'node:v8'

/**
 * Keeps Node's heap from growing ahead of its use. Call it before loading anything large: compiling a step creates many
 * short-lived objects, for which Node would reserve some 30 MB and keep them.
 * @example keepHeapSmall()
 */
export const keepHeapSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1')
}

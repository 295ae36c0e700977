import * as E from '../../either/index.ts'
import { cacheDirectory } from '../../host/index.ts'

/**
 * Tests whether the graph target's TensorFlow compiles functions with XLA; undefined if there is no TensorFlow that
 * loads graphs.
 * @example (await nativeXla()) === true
 */
export const nativeXla = async (cache = cacheDirectory()): Promise<boolean | undefined> => {
  const [{ openNative }, { hasXla }] = await Promise.all([import('./load.ts'), import('../graph/load.ts')])
  const native = await openNative(cache)
  return E.isRight(native) && native.right.loadSavedModel !== undefined ? hasXla(native.right) : undefined
}

import * as E from '../../either/index.ts'
import { cacheDirectory } from '../../host/index.ts'
import { nativeBuilds, type NativeBuild } from './builds.ts'
import type { Native } from './native.ts'

/**
 * The state of the graph and node targets: the builds in the cache, and the one that they use, or the reason why they
 * use none.
 */
export interface NativeStatus {
  readonly builds: readonly NativeBuild[]
  readonly used: Native | undefined
  readonly problem: string | undefined
}

/**
 * Inspects the builds in the cache, and loads the one that the targets would load.
 * @example const { used } = await nativeStatus(); console.log(used?.tensorflow)
 */
export const nativeStatus = async (cache = cacheDirectory()): Promise<NativeStatus> => {
  const { openNative } = await import('./load.ts')
  const native = await openNative(cache)
  return {
    builds: nativeBuilds(cache),
    used: E.isRight(native) ? native.right : undefined,
    problem: E.isLeft(native) ? native.left : undefined,
  }
}

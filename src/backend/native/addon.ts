import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { addonFile, logFile, type NativeBuild } from './builds.ts'

const nodeRequire = createRequire(import.meta.url)

/**
 * The least severity that TensorFlow prints on standard error: 0 for information, 1 for warnings, 2 for errors, 3 for
 * what ends the process. TensorFlow reads it once, when it is loaded.
 */
export const logVariable = 'TF_CPP_MIN_LOG_LEVEL'
/** What the user has asked, before anything here is set. */
const asked = process.env[logVariable]

/** What a build has beside TensorFlow's own addon. */
interface Beside {
  /** Drops lines of the log that parts of TensorFlow write without heeding the variable. */
  (severity: number): void
  /** Gives freed memory back to the system. */
  readonly returnMemory?: () => void
}
let beside: Beside | undefined

/** Earlier builds have less of it, the first nothing. */
const besideIn = (folder: string): Beside => {
  const file = path.join(folder, logFile)
  // what the addon exports
  return (beside = existsSync(file) ? (nodeRequire(file) as Beside) : () => undefined)
}

/** Gives the system back what the allocator has kept of freed memory, where the build that was loaded can. */
export const returnMemory = (): void => {
  beside?.returnMemory?.()
}

/**
 * Loads the addon of a build, silent below errors unless `TF_CPP_MIN_LOG_LEVEL` asks for more. While it loads,
 * TensorFlow with CUDA calls it an error that libraries are registered twice, and where there is no GPU, that there is
 * none: neither is one.
 * @example const binding = loadAddon(build)
 */
export const loadAddon = ({ folder, package: name }: Pick<NativeBuild, 'folder' | 'package'>): unknown => {
  process.env[logVariable] ??= name === 'tensorflow' ? '3' : '2'
  const setLogLevel = besideIn(folder)
  const least = asked === undefined || !/^[0-3]$/.test(asked) ? undefined : Number(asked)
  setLogLevel(least ?? 3)
  const addon: unknown = nodeRequire(path.join(folder, addonFile))
  setLogLevel(least ?? 2)
  return addon
}

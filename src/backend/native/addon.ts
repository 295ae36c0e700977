import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { addonFile, logFile, type NativeBuild } from './builds.ts'

const nodeRequire = createRequire(import.meta.url)

/**
 * The least severity that TensorFlow prints on standard error: 0 for information, 1 for warnings, 2 for errors, 3 for
 * fatal errors. TensorFlow reads it once, when it is loaded.
 */
export const logVariable = 'TF_CPP_MIN_LOG_LEVEL'
/** The user's setting, before anything here changes the variable. */
const asked = process.env[logVariable]

/** The functions that a build has in addition to TensorFlow's own addon. */
interface Beside {
  /** Drops the log lines of parts of TensorFlow that ignore the variable. */
  (severity: number): void
  /** Sets the variable where TensorFlow reads it, unless it is set. */
  readonly setVariable?: (severity: number) => void
  /** Gives freed memory back to the system. */
  readonly returnMemory?: () => void
}
let beside: Beside | undefined

/** Earlier builds have fewer of these functions, the first ones none. */
const besideIn = (folder: string): Beside => {
  const file = path.join(folder, logFile)
  // the addon exports these functions
  return (beside = existsSync(file) ? (nodeRequire(file) as Beside) : () => undefined)
}

/** Returns memory that the allocator kept after it was freed to the system, if the loaded build can. */
export const returnMemory = (): void => {
  beside?.returnMemory?.()
}

/**
 * Loads the addon of a build, silent below errors unless `TF_CPP_MIN_LOG_LEVEL` asks for more. While it loads,
 * TensorFlow with CUDA logs errors for libraries that are registered twice and, without a GPU, for the missing GPU;
 * neither is an error.
 * @example const binding = loadAddon(build)
 */
export const loadAddon = ({ folder, package: name }: Pick<NativeBuild, 'folder' | 'package'>): unknown => {
  process.env[logVariable] ??= name === 'tensorflow' ? '3' : '2'
  const setLogLevel = besideIn(folder)
  // in a worker thread, process.env is a copy
  setLogLevel.setVariable?.(Number(process.env[logVariable]) || 0)
  const least = asked === undefined || !/^[0-3]$/.test(asked) ? undefined : Number(asked)
  setLogLevel(least ?? 3)
  const addon: unknown = nodeRequire(path.join(folder, addonFile))
  setLogLevel(least ?? 2)
  return addon
}

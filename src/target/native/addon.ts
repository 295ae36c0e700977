import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { addonFile, logFile, type NativeBuild } from './builds.ts'

const nodeRequire = createRequire(import.meta.url)

/**
 * The least severity that TensorFlow prints on standard error: 0 for information, 1 for warnings, 2 for errors, 3 for what ends the process.
 * TensorFlow reads it once, when it is loaded.
 */
export const logVariable = 'TF_CPP_MIN_LOG_LEVEL'
/** What the user has asked, before anything here is set. */
const asked = process.env[logVariable]

/** What drops lines of the log that parts of TensorFlow write without heeding the variable; builds of the first revision have none. */
const setLogLevelOf = (folder: string): ((severity: number) => void) => {
  const file = path.join(folder, logFile)
  // what the addon exports
  return existsSync(file) ? nodeRequire(file) as (severity: number) => void : () => undefined
}

/**
 * Loads the addon of a build, silent below errors unless `TF_CPP_MIN_LOG_LEVEL` asks for more. While it loads, TensorFlow with CUDA calls it
 * an error that libraries are registered twice, and where there is no GPU, that there is none: neither is one.
 * @example const binding = loadAddon(build)
 */
export const loadAddon = ({ folder, package: name }: Pick<NativeBuild, 'folder' | 'package'>): unknown => {
  process.env[logVariable] ??= name === 'tensorflow' ? '3' : '2'
  const setLogLevel = setLogLevelOf(folder), least = asked === undefined || !/^[0-3]$/.test(asked) ? undefined : Number(asked)
  setLogLevel(least ?? 3)
  const addon: unknown = nodeRequire(path.join(folder, addonFile))
  setLogLevel(least ?? 2)
  return addon
}

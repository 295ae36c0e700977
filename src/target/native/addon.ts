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

/** What sets the least severity of Abseil's log, which parts of TensorFlow write to; builds of the first revision have none. */
const setLogLevelOf = (folder: string): ((severity: number) => void) => {
  const file = path.join(folder, logFile)
  // the addon's own export
  return existsSync(file) ? nodeRequire(file) as (severity: number) => void : () => undefined
}

/**
 * Loads the addon of a build, silent below errors unless `TF_CPP_MIN_LOG_LEVEL` asks for more. While it loads, TensorFlow with CUDA calls it
 * an error that libraries are registered twice, and where there is no GPU, that there is none: neither is one.
 * @example const binding = loadAddon(build)
 */
export const loadAddon = ({ folder, package: name }: Pick<NativeBuild, 'folder' | 'package'>): unknown => {
  const asked = Number(process.env[logVariable] || NaN), setLogLevel = setLogLevelOf(folder)
  process.env[logVariable] ||= name === 'tensorflow' ? '3' : '2'
  setLogLevel(Number.isInteger(asked) ? asked : 3)
  const addon: unknown = nodeRequire(path.join(folder, addonFile))
  setLogLevel(Number.isInteger(asked) ? asked : 2)
  return addon
}

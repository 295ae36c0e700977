import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The directory that keeps what is downloaded or built once: `PARTENSOR_CACHE`, or `partensor` in `XDG_CACHE_HOME`, or
 * `~/.cache/partensor`.
 * @example cacheDirectory()
 */
export const cacheDirectory = (env: Readonly<Record<string, string | undefined>> = process.env): string =>
  env['PARTENSOR_CACHE'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'partensor')

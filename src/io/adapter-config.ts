import type * as E from 'fp-ts/lib/Either.js'
import { attemptSync, refusal, type IoError } from './error.ts'
import { isRecord } from './file.ts'

/** What every adapter knows about how it was made. */
export interface AdapterOrigin {
  /** Module names as they were asked for: `q_proj`, `all`, ... */
  readonly targetModules: readonly string[]
  readonly seed: number
  /** Training settings, as plain JSON; kept, not interpreted. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly baseModelName: string
  /** `hashOf` of the base. */
  readonly baseModelHash: string
  readonly versions: Readonly<Record<string, string>>
}

/** How an adapter was trained: whole weights, or `rank` columns of each. */
export type Method = 'paca' | 'full'

/** What adapter_config.json says. The rank of `full` is 0. */
export interface AdapterConfig {
  readonly origin: AdapterOrigin
  readonly method: Method
  readonly rank: number
}

const formatVersion = 1

/**
 * The content of adapter_config.json.
 * @example configOf({ method: 'paca', rank: 8, origin })
 */
export const configOf = ({ origin, method, rank }: AdapterConfig): Readonly<Record<string, unknown>> => ({
  format_version: formatVersion,
  peft_type: method.toUpperCase(),
  method,
  ...(method === 'paca' ? { rank } : {}),
  target_modules: origin.targetModules,
  seed: origin.seed,
  settings: origin.settings,
  base_model_name: origin.baseModelName,
  base_model_hash: origin.baseModelHash,
  versions: origin.versions,
})

/** The inverse of `configOf`, every field checked; `file` begins the message. */
export const parseConfig = (file: string, json: Readonly<Record<string, unknown>>): E.Either<IoError, AdapterConfig> => attemptSync(file, () => {
  const wrong = (field: string, due: string) => refusal(`${file}: ${field} is ${JSON.stringify(json[field]) ?? 'missing'}, where ${due} is due`)
  const text = (field: string): string => {
    const value = json[field]
    if (typeof value !== 'string') throw wrong(field, 'a string')
    return value
  }
  const integer = (field: string, least: number): number => {
    const value = json[field]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) throw wrong(field, `an integer from ${least} on`)
    return value
  }
  const { format_version, method, target_modules: targetModules, settings, versions } = json
  if (format_version !== formatVersion) throw wrong('format_version', String(formatVersion))
  if (method !== 'paca' && method !== 'full') throw wrong('method', '"paca" or "full"')
  if (!Array.isArray(targetModules) || !targetModules.every(name => typeof name === 'string')) throw wrong('target_modules', 'a list of strings')
  if (!isRecord(settings)) throw wrong('settings', 'an object')
  if (!isRecord(versions)) throw wrong('versions', 'an object')
  const known = Object.entries(versions).map(([name, version]): [string, string] => {
    if (typeof version !== 'string') throw wrong('versions', 'an object of strings')
    return [name, version]
  })
  const origin = {
    targetModules, seed: integer('seed', 0), settings, baseModelName: text('base_model_name'), baseModelHash: text('base_model_hash'),
    versions: Object.fromEntries(known),
  }
  return { origin, method, rank: method === 'paca' ? integer('rank', 1) : 0 }
})

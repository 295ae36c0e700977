import { contentHash, versions } from '../host/index.ts'
import { isRecord, orThrow, refusal, shown } from '../text/index.ts'
import { finetuneFlags } from './arguments.ts'
import type { FinetuneOptions } from './request.ts'

/** An option as a run was given it; for a file or a folder, its path and a hash of what is in it. */
export interface Setting {
  readonly text: string
  readonly hash?: string
}
/** The options of a run by flag, as far as its losses depend on them. */
export type RunSettings = Readonly<Record<string, Setting>>

/** Options that say where a run's results go or when they are saved; the target is compared once it is open. */
const besides: readonly string[] = ['--out', '--save-every', '--resume', '--save-optimizer', '--target', '--threads']
/** Options that name a folder of possibly many files. */
const data: readonly string[] = ['--data', '--eval']
const paths: readonly string[] = [...data, '--adapter', '--columns']

/** The settings of a run on a model with this hash. Errors are thrown: a file that cannot be read. */
export const settingsOfRun = async (options: FinetuneOptions, modelHash: string): Promise<RunSettings> => {
  const { signal: _, onTarget: __, onWarning: ___, ...plain } = options
  const settings: [string, Setting][] = []
  for (const [flag, value] of finetuneFlags(plain)) {
    if (besides.includes(flag)) continue
    const text = String(value)
    if (flag === '--model') settings.push([flag, { text, hash: modelHash }])
    else if (!paths.includes(flag)) settings.push([flag, { text }])
    else settings.push([flag, { text, hash: await orThrow(contentHash(text, data.includes(flag))) }])
  }
  return Object.fromEntries(settings)
}

const without = (flag: string, setting: Setting | undefined): string =>
  setting === undefined ? `without ${flag}` : setting.text === 'true' ? `with ${flag}` : `with ${flag} ${setting.text}`

const isEqual = (a: Setting | undefined, b: Setting | undefined): boolean =>
  a?.hash === b?.hash && (a?.hash !== undefined || a?.text === b?.text)

/** Refuses settings that differ from those that a run began with, by name, with the old value and the new one. */
export const checkSettings = (out: string, began: RunSettings, now: RunSettings): void => {
  const flag = [...new Set([...Object.keys(now), ...Object.keys(began)])].find(name => !isEqual(began[name], now[name]))
  if (flag === undefined) return
  const [old, given] = [began[flag], now[flag]]
  throw refusal(
    old !== undefined && old.text === given?.text
      ? `${out}: what ${flag} names, ${old.text}, has changed since the run began: it cannot go on`
      : `${out}: the run began ${without(flag, old)}, and goes on only so, not ${without(flag, given)}`,
  )
}

/** Reads settings that were written as JSON; `subject` begins the message. */
export const parsedSettings = (subject: string, json: unknown): RunSettings => {
  if (!isRecord(json)) throw refusal(`${subject}: its settings are ${shown(json)}: expected an object`)
  return Object.fromEntries(
    Object.entries(json).map(([flag, setting]): [string, Setting] => {
      const { text, hash }: Readonly<Record<string, unknown>> = isRecord(setting) ? setting : {}
      if (typeof text !== 'string' || (hash !== undefined && typeof hash !== 'string'))
        throw refusal(`${subject}: the setting ${flag} is ${shown(setting)}: expected { text, hash }`)
      return [flag, hash === undefined ? { text } : { text, hash }]
    }),
  )
}

/** A warning about versions that differ from those that a run began with, if there are any. */
export const versionWarnings = (out: string, began: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(versions()).flatMap(([name, now]) =>
    began[name] === now
      ? []
      : [`${out}: the run began with ${name} ${began[name] ?? 'unknown'}, and this is ${now}: losses may differ`],
  )

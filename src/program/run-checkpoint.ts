import { readdir, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import { loadValues, savedMetadata, saveValues } from '../io/index.ts'
import { checkReplaceable, sweep } from '../host/index.ts'
import type { SavedSession } from '../backend/index.ts'
import { codeOf, fieldsOf, isIoError, isRecord, orThrow, parsedJson, refusal } from '../text/index.ts'
import type { Evaluation, Unit } from '../train/finetune.ts'
import { parsedSettings, type RunSettings } from './run-settings.ts'

/** The facts of a run at a checkpoint, beside the values of its session. */
export interface RunState {
  /** The number of steps that were made. */
  readonly step: number
  readonly settings: RunSettings
  readonly versions: Readonly<Record<string, string>>
  /** The target that the session is on. */
  readonly target: string
  /** The evaluation before the first step, if there was one. */
  readonly before: Evaluation<Unit> | undefined
}

/** A checkpoint that was read. */
export interface FoundCheckpoint {
  readonly file: string
  readonly state: RunState
  readonly session: SavedSession
}

/** The folder of the checkpoints of a run, beside its adapter. @example checkpointFolder('runs/first') // runs/first.checkpoints */
export const checkpointFolder = (out: string): string => {
  const path = normalize(out)
  return join(dirname(path), `${basename(path)}.checkpoints`)
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`
const stepOf = (name: string): number | undefined => {
  const digits = /^step-(\d{8,15})\.safetensors$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The steps of the checkpoints in a folder, the last one first; none if there is no folder. */
export const checkpointsIn = async (folder: string): Promise<readonly number[]> => {
  try {
    return (await readdir(folder)).flatMap(name => stepOf(name) ?? []).sort((a, b) => b - a)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** The checkpoints that are kept: this one and the one before it. */
const keptOf = (step: number, steps: readonly number[]): readonly number[] =>
  [step, ...steps.filter(other => other < step)].slice(0, 2)

/** The key of a run's state in the metadata of its checkpoints. */
const stateKey = 'run'

/**
 * Writes a checkpoint, all of it at once: beside the last one, synced, then renamed. The two last ones are kept.
 * Returns its path. Errors are thrown: the disk is full, the folder cannot be written; the last checkpoint is then as
 * it was.
 */
export const saveCheckpoint = async (folder: string, state: RunState, session: SavedSession): Promise<string> => {
  const file = join(folder, nameOf(state.step))
  await saveValues(file, session, { metadata: { [stateKey]: JSON.stringify({ format: 1, ...state }) } })
  const steps = await checkpointsIn(folder)
  const kept = keptOf(state.step, steps)
  for (const step of steps.filter(other => !kept.includes(other))) await rm(join(folder, nameOf(step)), { force: true })
  return file
}

/** Checks, before long work, that checkpoints can be written, and creates their folder. Errors are thrown. */
export const checkCheckpoints = (folder: string): Promise<void> => orThrow(checkReplaceable(join(folder, nameOf(0))))

const evaluationOf = (value: unknown, wrong: () => Error): Evaluation<Unit> | undefined => {
  if (value === undefined) return undefined
  const { loss, tokens, images, metrics }: Readonly<Record<string, unknown>> = isRecord(value) ? value : {}
  const isNumbers = isRecord(metrics) && Object.values(metrics).every(x => typeof x === 'number')
  if (typeof loss !== 'number' || typeof (tokens ?? images) !== 'number' || !(metrics === undefined || isNumbers))
    throw wrong()
  // every field was checked
  return value as Evaluation<Unit>
}

const stateOf = (file: string, text: string | undefined): RunState => {
  const subject = `${file}: the metadata ${stateKey}`
  if (text === undefined) throw refusal(`${file}: it is no checkpoint of a run: it has no metadata ${stateKey}`)
  const json = parsedJson(subject, text)
  if (!isRecord(json)) throw refusal(`${subject} is not an object`)
  const fields = fieldsOf(json, file, field => `${stateKey}.${field}`)
  fields.integer('format', 1)
  const { target, versions = {}, before } = json
  if (typeof target !== 'string') throw fields.wrong('target', 'a name')
  if (!isRecord(versions)) throw fields.wrong('versions', 'an object')
  return {
    step: fields.integer('step', Number.MAX_SAFE_INTEGER),
    settings: parsedSettings(subject, json['settings']),
    versions: Object.fromEntries(Object.entries(versions).map(([name, version]) => [name, String(version)])),
    target,
    before: evaluationOf(before, () => fields.wrong('before', 'an evaluation')),
  }
}

/**
 * The last checkpoint in a folder; if it cannot be read, the one before it, with a warning. `undefined` if there is
 * none. Errors are thrown: none of them can be read.
 */
export const lastCheckpoint = async (
  folder: string,
  warn: (message: string) => void,
): Promise<FoundCheckpoint | undefined> => {
  let first: Error | undefined
  for (const step of await checkpointsIn(folder)) {
    const file = join(folder, nameOf(step))
    try {
      const state = stateOf(file, (await savedMetadata(file))[stateKey])
      const found = { file, state, session: await loadValues(file) }
      if (first !== undefined) warn(`${first.message}: the run goes on from the checkpoint before it`)
      return found
    } catch (error) {
      if (!(isIoError(error) && error instanceof Error)) throw error
      first ??= error
    }
  }
  if (first !== undefined) throw first
  return undefined
}

/** Removes the checkpoints of a run whose adapter is saved; files that are none stay, with their folder. */
export const removeCheckpoints = async (folder: string): Promise<void> => {
  for (const step of await checkpointsIn(folder)) await rm(join(folder, nameOf(step)), { force: true })
  await sweep(folder)
  await rmdir(folder).catch(() => undefined)
}

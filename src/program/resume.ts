import { join } from 'node:path'
import { exists, readJsonObject, versions } from '../host/index.ts'
import { hashOf } from '../io/index.ts'
import { isRecord, orThrow, reasonOf, refusal } from '../text/index.ts'
import { isValue, leaves } from '../tune/index.ts'
import type { SavedSession } from '../backend/index.ts'
import { StepFailed } from '../train/finetune.ts'
import type { AnySession } from './pretrained.ts'
import type { FinetuneOptions } from './request.ts'
import {
  checkCheckpoints,
  checkpointFolder,
  checkpointsIn,
  lastCheckpoint,
  saveCheckpoint,
  type FoundCheckpoint,
  type RunState,
} from './run-checkpoint.ts'
import { checkSettings, parsedSettings, settingsOfRun, versionWarnings, type RunSettings } from './run-settings.ts'
import type { Source } from './source.ts'

/** The record of a run that can go on, in the settings of its adapter. */
export interface FinishedRun {
  readonly steps: number
  readonly trainable: number
  readonly settings: RunSettings
}

/** The checkpoints of a run: their folder, what they record, and the one that it goes on from. */
export interface Resuming {
  readonly folder: string
  readonly settings: RunSettings
  readonly from: FoundCheckpoint | undefined
  readonly warnings: readonly string[]
}

/** Tests whether a run writes checkpoints or goes on from one. */
const isResumable = ({ saveEvery, resume }: FinetuneOptions): boolean => saveEvery !== undefined || resume === true

/**
 * The record of a run whose adapter is already there, if it is to go on and had finished. Errors are thrown: the
 * adapter is no adapter.
 */
export const finishedRun = async ({ out, resume }: FinetuneOptions): Promise<FinishedRun | undefined> => {
  const file = join(out, 'adapter_config.json')
  if (resume !== true || !(await orThrow(exists(file)))) return undefined
  const { settings } = await orThrow(readJsonObject(file))
  const run = isRecord(settings) ? settings['run'] : undefined
  if (!isRecord(run) || typeof run['steps'] !== 'number' || typeof run['trainable'] !== 'number')
    throw refusal(`${out}: it holds an adapter of a run without checkpoints: --resume has nothing to go on from`)
  return { steps: run['steps'], trainable: run['trainable'], settings: parsedSettings(file, run['settings']) }
}

const settingsFor = async (options: FinetuneOptions, { checkpoint }: Source): Promise<RunSettings> =>
  settingsOfRun(options, await orThrow(hashOf(checkpoint)))

/** Refuses other settings than those of a run that had finished. */
export const checkFinished = async (options: FinetuneOptions, source: Source, run: FinishedRun): Promise<void> => {
  checkSettings(options.out, run.settings, await settingsFor(options, source))
}

/**
 * Finds the checkpoint from which a run goes on. Errors are thrown: checkpoints of a run that is not to go on, other
 * settings than it began with, a folder that cannot be written.
 */
export const resuming = async (options: FinetuneOptions, source: Source): Promise<Resuming | undefined> => {
  const { out, resume } = options
  const folder = checkpointFolder(out)
  if (resume !== true && (await checkpointsIn(folder)).length > 0)
    throw refusal(`${folder}: there are checkpoints of a run to ${out}: go on with --resume, or remove them`)
  if (!isResumable(options)) return undefined
  const warnings: string[] = []
  const settings = await settingsFor(options, source)
  const from = await lastCheckpoint(folder, message => warnings.push(message))
  if (from) {
    checkSettings(out, from.state.settings, settings)
    warnings.push(...versionWarnings(out, from.state.versions))
  }
  await checkCheckpoints(folder)
  return { folder, settings, from, warnings }
}

/** The words that say how a run goes on from a checkpoint. */
export const goingOn = (file: string): string => `the checkpoint is ${file}: go on with the same command and --resume`

/** A checkpoint that could not be saved, which ends a run. */
export class CheckpointFailed extends StepFailed {}

/** The writing of a run's checkpoints. */
export interface Keeper {
  /** Saves a checkpoint of the steps that are made, unless it is the last one, and returns its path. */
  save(step: number): Promise<string>
}

/**
 * Writes the checkpoints of a session. A checkpoint that cannot be saved ends the run with a `CheckpointFailed`, and the last
 * one stays as it is.
 */
export const keeperOf = (
  { folder, settings, from }: Resuming,
  session: Pick<AnySession, 'checkpoint' | 'target'>,
  before: RunState['before'],
): Keeper => {
  let last = from && { file: from.file, step: from.state.step }
  return {
    save: async step => {
      if (last?.step === step) return last.file
      const state = { step, settings, versions: versions(), target: session.target, before }
      try {
        last = { file: await saveCheckpoint(folder, state, await session.checkpoint()), step }
        return last.file
      } catch (error) {
        const stays = last ? `that of step ${last.step} is as it was: go on with --resume` : 'there is none before it'
        throw new CheckpointFailed(`the checkpoint of step ${step} is not saved: ${reasonOf(error)}; ${stays}`, {
          cause: error,
        })
      }
    },
  }
}

/** Refuses another target than the one that a run began on, whose last bits may differ. */
export const checkTarget = (out: string, { from }: Resuming, target: string): void => {
  if (from !== undefined && from.state.target !== target)
    throw refusal(
      `${out}: the run began on ${from.state.target}, and this is ${target}: name the first with --target and --threads`,
    )
}

/** The columns or entries that a saved session trains, by module. */
export const selectionIn = (session: SavedSession): ReadonlyMap<string, Int32Array> => {
  const chosen = isRecord(session) ? session['selection'] : undefined
  return new Map(
    leaves(chosen, isValue).flatMap(([path, { data }]) => (data instanceof Int32Array ? [[path, data] as const] : [])),
  )
}

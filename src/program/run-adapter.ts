import * as E from 'fp-ts/lib/Either.js'
import { hashOf, saveAdapter, type Adapter, type AdapterOrigin, type AdapterSettings } from '../io/index.ts'
import { versions } from '../host/index.ts'
import { orThrow } from '../text/index.ts'
import { momentsFolder, saveMoments, type SavedMoments } from '../train/finetune.ts'
import type { Prepared } from './checked.ts'
import { keep } from './keep.ts'
import type { FinetuneOptions } from './request.ts'
import { isClassifier, type Source } from './source.ts'

/** The adapter of a run: the facts that it records, and how it is saved. */

/** The origin of the adapter of a run. */
export const originOf = async (
  options: FinetuneOptions,
  { source, steps, optimizer: chosen, options: { targetModules } }: Prepared,
): Promise<AdapterOrigin> => {
  const { model, seed, data, batch, accumulate, shuffle, schedule, warmup } = options
  const { optimizer, optimizerArgs, lr, weightDecay, clip } = chosen
  return {
    targetModules,
    seed,
    settings: {
      data,
      steps,
      batch,
      accumulate,
      shuffle,
      lr,
      schedule,
      warmup,
      weightDecay,
      clip,
      optimizer,
      ...optimizerArgs,
    },
    baseModelName: model,
    baseModelHash: await orThrow(hashOf(source.checkpoint)),
    versions: versions(),
  }
}

/** The classes that the head of a classifier is for. */
export const labelsOf = (source: Source): Pick<AdapterSettings, 'labels'> =>
  isClassifier(source) ? { labels: source.checkpoint.config.labels } : {}

/** The place where an adapter and its moments were saved, and the problem, if there was one. */
export interface SavedRun {
  readonly directory: string
  readonly problem: string | undefined
}

/**
 * Saves an adapter and, if requested, the optimizer's moments with it; a failure to save the moments does not lose the
 * adapter.
 */
export const saveRun = async (out: string, adapter: Adapter, moments: SavedMoments | undefined): Promise<SavedRun> => {
  const { directory, problem } = await orThrow(keep(out, 'the adapter', place => saveAdapter(place, adapter)))
  if (moments === undefined) return { directory, problem }
  const kept = await keep(momentsFolder(directory), "the optimizer's moments", place => saveMoments(place, moments))()
  const other = E.isLeft(kept)
    ? `${kept.left.message}; the adapter itself is saved in ${directory}`
    : kept.right.problem
  return { directory, problem: [problem, other].filter(text => text !== undefined).join('; ') || undefined }
}

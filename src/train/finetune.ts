import * as TE from 'fp-ts/lib/TaskEither.js'
import { checkDestination, hashOf, orThrow, saveAdapter, type AdapterOrigin } from '../io/index.ts'
import { compile } from '../target/index.ts'
import { batchDims, evaluateRows, train, type StepEvent } from './loop.ts'
import { optimizer, settingsFrom } from './method.ts'
import { momentsOf, saveMoments, withMoments } from './optimizer-state.ts'
import { prepare, type Prepared } from './prepare.ts'
import type { FinetuneOptions } from './request.ts'
import { adapterOf, columnsOf, continuing, remembering } from './saved.ts'
import { rateAt, runSchedule } from './schedule.ts'
import { defaultSelectSteps, selectColumns } from './selection.ts'
import { checkMemory, openModel, rowWarnings, targetOptions, told } from './source.ts'
import { trainStep } from './step.ts'
import { parameterCounts, tuneLlama } from './tune.ts'
import { versions } from './versions.ts'

/** What is known before the first step. */
export interface StartEvent {
  readonly event: 'start'
  readonly target: string
  readonly trainable: number
  readonly parameters: number
  readonly rows: number
  readonly steps: number
  readonly batch: number
  readonly seq: number
  /** Bytes that a step holds at most, weights and optimizer state included. */
  readonly bytes: number
}
export interface DoneEvent {
  readonly event: 'done'
  readonly steps: number
  readonly trainable: number
  /** Loss over the evaluation data; null where there is none. */
  readonly evalLossBefore: number | null
  readonly evalLossAfter: number | null
  /** The directory of the adapter; null where the run was stopped before its first step. */
  readonly adapter: string | null
  readonly interrupted: boolean
  readonly seconds: number
  readonly target: string
  /** The most bytes that the process has held. */
  readonly peakMemory: number
}
export type FinetuneEvent =
  | StartEvent | StepEvent | DoneEvent
  | { readonly event: 'warning'; readonly message: string }
  | { readonly event: 'selected'; readonly by: 'weight' | 'gradient'; readonly seconds: number }
  | { readonly event: 'evaluated'; readonly when: 'before' | 'after'; readonly loss: number; readonly tokens: number }

const originOf = async (options: FinetuneOptions, { source, steps, options: { targetModules } }: Prepared): Promise<AdapterOrigin> => {
  const { model, seed, data, batch, accumulate, shuffle, lr, schedule, warmup, weightDecay, clip } = options
  return {
    targetModules, seed, settings: { data, steps, batch, accumulate, shuffle, lr, schedule, warmup, weightDecay, clip },
    baseModelName: model, baseModelHash: await orThrow(hashOf(source.checkpoint)), versions: versions(),
  }
}

/**
 * Fine-tunes a model and saves the adapter: everything that can be is checked before the weights are read. Errors are thrown with one sentence
 * (`IoError`, `SessionError`, `StepFailed`); then nothing was written.
 * @example for await (const event of finetune(options)) report(event)
 */
export async function* finetune(options: FinetuneOptions): AsyncGenerator<FinetuneEvent> {
  const began = performance.now()
  await orThrow(checkDestination(options.out))
  const source = await orThrow(openModel(options.model))
  try {
    yield* run(options, await prepare(options, source), began)
  } finally {
    await source.checkpoint.close()
  }
}

async function* run(options: FinetuneOptions, prepared: Prepared, began: number): AsyncGenerator<FinetuneEvent> {
  const { source, weights, options: method, targets, old, moments, data: { rows, warnings }, evaluation, plan, steps } = prepared
  for (const message of prepared.warnings) yield { event: 'warning', message }
  for (const message of rowWarnings(options.data, warnings)) yield { event: 'warning', message }
  for (const message of evaluation ? rowWarnings(options.eval!, evaluation.warnings) : []) yield { event: 'warning', message }

  const origin = await originOf(options, prepared), schedule = runSchedule({ ...options, steps }), selecting = performance.now()
  const selected = options.select === undefined ? undefined : await selectColumns(source, weights, targets.modules, rows, {
    ...options, selection: options.select, steps: options.selectSteps ?? defaultSelectSteps, shareColumns: method.shareColumns === true, plan: options,
  })
  if (selected && options.select !== 'random') yield { event: 'selected', by: options.select!, seconds: (performance.now() - selecting) / 1000 }
  const beginning = selected ? { ...prepared.beginning, chosen: selected } : prepared.beginning
  const { tuned, frozen } = remembering(await orThrow(TE.fromEither(tuneLlama(source, method, beginning, targets))))
  const step = trainStep(tuned, optimizer({ ...options, lr: schedule }))
  await using session = told(await compile(step, { ...targetOptions(options), weights }), options)
  await source.checkpoint.close()
  const { trainable, all: parameters } = parameterCounts(tuned, source.checkpoint, targets.modules)
  const dims = batchDims(rows, plan), bytes = session.certificate(dims).total
  await orThrow(checkMemory(bytes, session.limit))
  yield { event: 'start', target: session.target, trainable, parameters, rows: rows.length, steps, batch: dims.batch, seq: dims.seq, bytes }

  const evaluate = async (): Promise<{ readonly loss: number; readonly tokens: number } | undefined> =>
    evaluation && evaluateRows(session, evaluation.rows, options.batch)
  // the base's own columns or entries go into the adapter; of whole weights the base is the model
  const base = method.method === 'paca' || method.method === 'shira' ? (await session.read()).focus : undefined
  if (old && moments) {
    const { focus, state } = await session.read()
    await session.write({ focus, state: withMoments(state, moments, columnsOf(old), session.columns) })
  }
  const before = await evaluate()
  if (before) yield { event: 'evaluated', when: 'before', ...before }
  let done = 0
  for await (const event of train(session, rows, plan, k => rateAt(schedule, k), { signal: options.signal })) {
    done = event.step
    yield event
  }
  const interrupted = options.signal?.aborted === true, after = interrupted ? undefined : await evaluate()
  if (after) yield { event: 'evaluated', when: 'after', ...after }
  if (done > 0) {
    const { focus, state } = await session.read()
    const now = adapterOf(origin, {
      method: method.method, rank: method.rank, settings: settingsFrom(method), columns: session.columns, base, focus, frozen, whole: targets.whole,
    })
    await orThrow(saveAdapter(options.out, old ? continuing(old, now) : now))
    if (options.saveOptimizer) await orThrow(saveMoments(options.out, momentsOf(state)))
  }
  yield {
    event: 'done', steps: done, trainable, evalLossBefore: before?.loss ?? null, evalLossAfter: after?.loss ?? null,
    adapter: done > 0 ? options.out : null, interrupted, seconds: (performance.now() - began) / 1000,
    target: session.target, peakMemory: process.resourceUsage().maxRSS * 1024,
  }
}

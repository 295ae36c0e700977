import * as TE from 'fp-ts/lib/TaskEither.js'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  checkBase, checkDestination, hashOf, ioError, loadAdapter, orThrow, saveAdapter, stepCount,
  type AdapterOrigin, type AdapterSettings, type BatchPlan, type IoError, type Rows, type SavedAdapter,
} from '../io/index.ts'
import { compile } from '../target/index.ts'
import type { Lazy } from '../tune/index.ts'
import type { LlamaParams } from '../model/index.ts'
import { readColumns } from './columns.ts'
import { continuedFrom, type Continued } from './continued.ts'
import { batchDims, evaluateRows, train, type StepEvent, type StopSignal } from './loop.ts'
import { methodOptions, optimizer, type MethodChoice, type MethodOptions } from './method.ts'
import { loadMoments, momentsOf, saveMoments, withMoments, type Moments } from './optimizer-state.ts'
import { adapterOf, continuing, remembering, withAdapters } from './saved.ts'
import { rateAt, runSchedule, type ScheduleName } from './schedule.ts'
import { checkSelectSteps, defaultSelectSteps, selectColumns } from './selection.ts'
import { checkMemory, checkModel, openModel, readRowsFor, rowWarnings, targetOptions, told, type RunOptions, type PretrainedModel } from './source.ts'
import { trainStep } from './step.ts'
import { parameterCounts, targetsOf, tuneLlama } from './tune.ts'
import { versions } from './versions.ts'

/** What `partensor finetune` is asked; see its `--help`. */
export interface FinetuneOptions extends RunOptions, MethodChoice {
  readonly model: string
  readonly data: string
  readonly eval?: string | undefined
  /** The directory of an adapter to go on from. */
  readonly adapter?: string | undefined
  /** Steps over which selection by gradient sums. */
  readonly selectSteps?: number | undefined
  /** Saves the optimizer's moments beside the adapter, so that a later run goes on with them. */
  readonly saveOptimizer?: boolean | undefined
  readonly steps?: number | undefined
  readonly epochs?: number | undefined
  readonly batch: number
  readonly seq?: number | undefined
  readonly accumulate: number
  readonly shuffle: boolean
  readonly lr: number
  readonly schedule: ScheduleName
  readonly warmup: number
  readonly weightDecay: number
  readonly clip: number
  readonly out: string
  /** Ends the run after the step it is in; what it learned is saved. */
  readonly signal?: StopSignal | undefined
}

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

const planOf = ({ batch, accumulate, shuffle, seed, steps, epochs }: FinetuneOptions): BatchPlan =>
  ({ batch, accumulate, shuffle, seed, ...(steps === undefined ? { epochs: epochs ?? 1 } : { steps }) })

/** Everything that can be checked without weights. */
interface Prepared extends Omit<Continued, 'written'> {
  readonly source: PretrainedModel
  /** The base, with what an adapter that the run goes on from writes into it. */
  readonly weights: Lazy<LlamaParams>
  readonly old: SavedAdapter | undefined
  readonly moments: Moments | undefined
  readonly data: Rows
  readonly evaluation: Rows | undefined
  readonly plan: BatchPlan
  readonly steps: number
}

/** What is trained, and what it begins with: as it is asked for, or as an adapter has it. */
const begin = (options: FinetuneOptions, source: PretrainedModel, old: SavedAdapter | undefined): TE.TaskEither<IoError, Continued> => pipe(
  TE.fromEither(old ? continuedFrom(old, options.adapter!, options) : pipe(
    methodOptions(options), E.flatMap(method => pipe(targetsOf(source, method), E.map((targets): Continued => ({ options: method, targets, beginning: {}, written: undefined })))))),
  TE.flatMap((begun): TE.TaskEither<IoError, Continued> => (options.columns === undefined ? TE.right(begun) : pipe(
    readColumns(options.columns, begun.targets.modules, source.checkpoint),
    TE.map(chosen => ({ ...begun, beginning: { ...begun.beginning, chosen } }))))))

const prepare = async (options: FinetuneOptions, source: PretrainedModel): Promise<Prepared> => {
  const old = options.adapter === undefined ? undefined : await orThrow(loadAdapter(options.adapter))
  if (old) await orThrow(checkBase(old, source.checkpoint, options.adapter!))
  const { written, ...begun } = await orThrow(begin(options, source, old))
  // what a method cannot adapt is known before a selection is made
  await orThrow(TE.fromEither(tuneLlama(source, begun.options, begun.beginning, begun.targets)))
  const data = await orThrow(readRowsFor(source, options.data, options.seq))
  await orThrow(checkSelectSteps(options.select, options.selectSteps ?? defaultSelectSteps, data.rows.length))
  const evaluation = options.eval === undefined ? undefined : await orThrow(readRowsFor(source, options.eval, options.seq))
  const plan = planOf(options), steps = stepCount(data.rows.length, plan)
  await orThrow(TE.fromEither(checkWarmup(options, steps)))
  await orThrow(checkModel(source, options))
  const weights = written ? withAdapters(source.weights, [{ adapter: written }]) : source.weights
  const moments = options.adapter === undefined ? undefined : await orThrow(loadMoments(options.adapter))
  return { ...begun, source, weights, old, moments, data, evaluation, plan, steps }
}

const checkWarmup = ({ warmup, schedule }: FinetuneOptions, steps: number): E.Either<IoError, void> =>
  schedule !== 'constant' && warmup >= steps && warmup > 0
    ? E.left(ioError(`--warmup ${warmup} leaves no step to the ${schedule} schedule: there are ${steps} steps`)) : E.right(undefined)

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

const settingsIn = ({ method: _, targetModules: __, rank: ___, seed: ____, ...settings }: MethodOptions): AdapterSettings => settings

async function* run(options: FinetuneOptions, prepared: Prepared, began: number): AsyncGenerator<FinetuneEvent> {
  const { source, weights, options: method, targets, old, moments, data: { rows, warnings }, evaluation, plan, steps } = prepared
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
    const { focus, state } = await session.read(), before = old.method === 'paca' ? new Map([...old.modules].map(([path, { columns }]) => [path, columns.data])) : new Map<string, Int32Array>()
    await session.write({ focus, state: withMoments(state, moments, before, session.columns) })
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
    const now = adapterOf(origin, { method: method.method, rank: method.rank, settings: settingsIn(method), columns: session.columns, base, focus, frozen, whole: targets.whole })
    await orThrow(saveAdapter(options.out, old ? continuing(old, now) : now))
    if (options.saveOptimizer) await orThrow(saveMoments(options.out, momentsOf(state)))
  }
  yield {
    event: 'done', steps: done, trainable, evalLossBefore: before?.loss ?? null, evalLossAfter: after?.loss ?? null,
    adapter: done > 0 ? options.out : null, interrupted, seconds: (performance.now() - began) / 1000,
    target: session.target, peakMemory: process.resourceUsage().maxRSS * 1024,
  }
}

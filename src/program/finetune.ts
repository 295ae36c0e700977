import * as TE from 'fp-ts/lib/TaskEither.js'
import { epochsBegun } from '../io/index.ts'
import type { Planned } from '../compile/index.ts'
import { reserve } from '../host/index.ts'
import { fail, isInterruption, isIoError, orThrow } from '../text/index.ts'
import { compile, type StopSignal, checkStop, stoppable } from '../backend/index.ts'
import { rateAt, runSchedule, trainStep } from '../train/index.ts'
import {
  evaluateOn,
  StepFailed,
  trainOn,
  type Evaluation,
  type StepEvent,
  type Unit,
  momentsOf,
  momentWarnings,
  withMoments,
  adapterOf,
  changedBuffers,
  selectionOf,
  continuing,
  keepsBase,
  remembering,
} from '../train/finetune.ts'
import { isFloats, leaves } from '../tune/index.ts'
import { settingsFrom } from './method.ts'
import { prepare, type Prepared } from './checked.ts'
import { labelsOf, originOf, saveRun, type SavedRun } from './run-adapter.ts'
import type { FinetuneOptions } from './request.ts'
import { defaultSelectSteps, selectColumns } from './selection.ts'
import { checkMemory, recomputing, targetOptions, told } from './pretrained.ts'
import { openSource } from './source.ts'
import { ownDims, parameterCounts } from './counts.ts'
import { tuneAny } from './tune.ts'

/** The facts that are known before the first step. */
export interface StartEvent {
  readonly event: 'start'
  readonly target: string
  readonly trainable: number
  readonly parameters: number
  /** The number of rows or images. */
  readonly rows: number
  readonly unit: Unit
  readonly steps: number
  readonly batch: number
  /** Tokens of a row; images have none. */
  readonly seq?: number
  /** The plan: the most bytes that a step holds, including weights and optimizer state. */
  readonly bytes: number
  /** The floating-point operations of a step's loss and gradients. */
  readonly flops: number
  /** The plan that recomputes nothing, if this one was to recompute or to fit a budget. */
  readonly instead?: Planned
  /** The bytes that the process holds now, with the runtime and its libraries. */
  readonly process: number
}
export interface DoneEvent {
  readonly event: 'done'
  readonly steps: number
  readonly trainable: number
  /** Loss over the evaluation data; null if there is none. */
  readonly evalLossBefore: number | null
  readonly evalLossAfter: number | null
  /** The means of the model's metrics over the evaluation data, if it has some. */
  readonly evalMetricsBefore?: Readonly<Record<string, number>>
  readonly evalMetricsAfter?: Readonly<Record<string, number>>
  /**
   * The directory of the adapter: `out`, or another if it was kept elsewhere; null if the run was stopped before its
   * first step.
   */
  readonly adapter: string | null
  readonly interrupted: boolean
  readonly seconds: number
  /** Null if the run was stopped before its session was open. */
  readonly target: string | null
  /** The most bytes that the process has held so far. */
  readonly peakMemory: number
}
export type FinetuneEvent =
  | StartEvent
  | StepEvent
  | StepEvent<'images'>
  | DoneEvent
  | { readonly event: 'warning'; readonly message: string }
  | { readonly event: 'selected'; readonly by: 'weight' | 'gradient'; readonly seconds: number }
  | ({ readonly event: 'evaluated'; readonly when: 'before' | 'after' } & (Evaluation | Evaluation<'images'>))

/**
 * Fine-tunes a model and saves the adapter: the destination is reserved, and everything possible is checked before the
 * weights are read. The adapter is saved right after the last step, before the last evaluation; if its directory cannot
 * be written, it is kept elsewhere. Errors are thrown with one sentence (`IoError`, `SessionError`, `StepFailed`);
 * nothing was written, unless the message names the place.
 * @example for await (const event of finetune(options)) report(event)
 */
export async function* finetune(options: FinetuneOptions): AsyncGenerator<FinetuneEvent> {
  const began = performance.now()
  const reservation = await orThrow(reserve(options.out))
  try {
    const source = await orThrow(openSource(options.model))
    try {
      checkStop(options.signal)
      yield* run(options, await prepare(options, source), began)
    } finally {
      await source.checkpoint.close()
    }
  } catch (error) {
    // it was stopped before there was anything to save
    if (!isInterruption(error)) throw error
    yield ended({ trainable: 0, interrupted: true, target: null, began })
  } finally {
    await reservation.release()
  }
}

type Ended = Partial<DoneEvent> & Pick<DoneEvent, 'trainable' | 'interrupted' | 'target'> & { readonly began: number }
const ended = ({ began, ...known }: Ended): DoneEvent => ({
  event: 'done',
  steps: 0,
  evalLossBefore: null,
  evalLossAfter: null,
  adapter: null,
  ...known,
  seconds: (performance.now() - began) / 1000,
  peakMemory: process.resourceUsage().maxRSS * 1024,
})

/** Does work that is skipped once a run is to stop; what has been saved stays. */
const unlessStopped = async <A>(work: () => Promise<A>, saved: string | undefined): Promise<A | undefined> => {
  try {
    return await work()
  } catch (error) {
    if (isInterruption(error)) return undefined
    if (saved === undefined) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new StepFailed(`${reason}; the adapter is saved in ${saved}`, { cause: error })
  }
}

async function* run(options: FinetuneOptions, prepared: Prepared, began: number): AsyncGenerator<FinetuneEvent> {
  const {
    source,
    weights: lazy,
    buffers,
    options: method,
    targets,
    old,
    moments,
    optimizer: { optimizer, lr, transform },
    data: { examples, warnings },
    evaluation,
    plan,
    steps,
  } = prepared
  for (const message of prepared.warnings) yield { event: 'warning', message }
  for (const message of [...warnings, ...(evaluation?.warnings ?? [])]) yield { event: 'warning', message }

  const weights = stoppable(lazy, options.signal)
  const origin = await originOf(options, prepared)
  const schedule = runSchedule({ ...options, lr, steps })
  const selecting = performance.now()
  const selected =
    options.select === undefined
      ? undefined
      : await selectColumns(source, weights, targets.modules, examples, {
          ...options,
          select: options.select,
          steps: options.selectSteps ?? defaultSelectSteps,
          shareColumns: method.shareColumns === true,
          plan: options,
        })
  if (selected && options.select !== 'random')
    yield { event: 'selected', by: options.select!, seconds: (performance.now() - selecting) / 1000 }
  const beginning = selected ? { ...prepared.beginning, chosen: selected } : prepared.beginning
  const { tuned, frozen } = remembering(await orThrow(TE.fromEither(tuneAny(source, method, beginning, targets))))
  const step = trainStep(tuned, transform(schedule))
  const dims = examples.dims(plan)
  await using session = told(
    await compile(step, {
      ...targetOptions(options),
      weights,
      buffers,
      compiler: recomputing(options),
      memory: options.memory,
      batch: { ...dims, ...ownDims(tuned, source.checkpoint, targets.modules) },
    }),
    options,
  )
  await source.checkpoint.close()
  const { trainable, all: parameters } = parameterCounts(tuned, source.checkpoint, targets.modules)
  const { total: bytes, flops, instead } = session.certificate(dims)
  await orThrow(checkMemory(bytes, session.limit))
  yield {
    event: 'start',
    target: session.target,
    trainable,
    parameters,
    rows: examples.length,
    unit: examples.unit,
    steps,
    batch: plan.batch,
    ...(dims['seq'] === undefined ? {} : { seq: dims['seq'] }),
    bytes,
    flops,
    ...(instead === undefined ? {} : { instead }),
    process: process.memoryUsage.rss(),
  }

  const evaluate = async (signal: StopSignal | undefined): Promise<Evaluation<Unit> | undefined> =>
    evaluation && evaluateOn(session, evaluation.examples, options.batch, signal)
  // statistics that an adapter holds stay in it, changed again or not
  const held = new Map(leaves(await session.buffers(), isFloats))
  // the base's own columns or entries go into the adapter; for whole weights, the base is the model
  const base = keepsBase(method.method) ? (await session.read()).focus : undefined
  if (old && moments) {
    const { focus, state } = await session.read()
    const carried = { saved: moments, old: selectionOf(old), now: session.selection, optimizer }
    for (const message of momentWarnings(state, carried))
      yield { event: 'warning', message: `${options.adapter}: ${message}` }
    await session.write({ focus, state: withMoments(state, carried) })
  }
  const before = await evaluate(options.signal)
  if (before) yield { event: 'evaluated', when: 'before', ...before }
  let done = 0
  let broken: unknown
  try {
    for await (const event of trainOn(session, examples, plan, k => rateAt(schedule, k), { signal: options.signal })) {
      done = event.step
      yield event
    }
  } catch (error) {
    // data that cannot be read end a run; what it has learned is saved first
    if (done === 0 || !isIoError(error) || isInterruption(error)) throw error
    broken = error
  }
  let saved: SavedRun | undefined
  if (done > 0) {
    const { focus, state, buffers: last } = await session.read()
    const settings = { ...origin.settings, epochsBegun: epochsBegun(examples.length, plan, done) }
    const now = adapterOf(
      { ...origin, settings },
      {
        method: method.method,
        rank: method.rank,
        settings: { ...settingsFrom(method), ...labelsOf(source) },
        selection: session.selection,
        base,
        focus,
        frozen,
        whole: targets.whole,
        buffers: changedBuffers(last, path => (old?.buffers?.has(path) ? undefined : held.get(path)?.data)),
      },
    )
    const saving = options.saveOptimizer ? momentsOf(optimizer, state) : undefined
    saved = await saveRun(options.out, old ? continuing(old, now) : now, saving)
  }
  if (broken !== undefined) await unlessStopped(() => Promise.reject(broken), saved?.directory)
  const after = await unlessStopped(() => evaluate(options.signal), saved?.directory)
  if (after) yield { event: 'evaluated', when: 'after', ...after }
  yield ended({
    steps: done,
    trainable,
    evalLossBefore: before?.loss ?? null,
    evalLossAfter: after?.loss ?? null,
    ...(before?.metrics ? { evalMetricsBefore: before.metrics } : {}),
    ...(after?.metrics ? { evalMetricsAfter: after.metrics } : {}),
    adapter: saved?.directory ?? null,
    interrupted: options.signal?.aborted === true,
    target: session.target,
    began,
  })
  // nobody looks for the adapter in another place unless the message tells where it is
  if (saved?.problem !== undefined) await orThrow(async () => fail(saved.problem!))
}

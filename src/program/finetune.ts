import * as TE from 'fp-ts/lib/TaskEither.js'
import { epochsBegun } from '../io/index.ts'
import { reserve } from '../host/index.ts'
import { fail, isInterruption, isIoError, orThrow, reasonOf } from '../text/index.ts'
import { compile, type StopSignal, checkStop, stoppable } from '../backend/index.ts'
import { rateAt, runSchedule, trainStep } from '../train/index.ts'
import {
  evaluateOn,
  StepFailed,
  trainOn,
  type Evaluation,
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
import type { DoneEvent, FinetuneEvent } from './events.ts'
import { prepare, type Prepared } from './checked.ts'
import { labelsOf, originOf, saveRun, type SavedRun } from './run-adapter.ts'
import type { FinetuneOptions } from './request.ts'
import {
  CheckpointFailed,
  checkFinished,
  checkTarget,
  finishedRun,
  goingOn,
  keeperOf,
  resuming,
  selectionIn,
  type Resuming,
} from './resume.ts'
import { removeCheckpoints } from './run-checkpoint.ts'
import { defaultSelectSteps, selectColumns } from './selection.ts'
import { checkMemory, recomputing, targetOptions, told } from './pretrained.ts'
import { openSource } from './source.ts'
import { ownDims, parameterCounts } from './counts.ts'
import { tuneAny } from './tune.ts'

/**
 * Fine-tunes a model and saves the adapter: the destination is reserved, and everything possible is checked before the
 * weights are read. The adapter is saved right after the last step, before the last evaluation; if its directory cannot
 * be written, it is kept elsewhere. With `saveEvery` it writes checkpoints, each after the event of its step, and with
 * `resume` it goes on from the last one: its losses are those of a run that was never stopped. Errors are thrown with one sentence (`IoError`, `SessionError`, `StepFailed`);
 * nothing was written, unless the message names the place.
 * @example for await (const event of finetune(options)) report(event)
 */
export async function* finetune(options: FinetuneOptions): AsyncGenerator<FinetuneEvent> {
  const began = performance.now()
  const finished = await finishedRun(options)
  if (finished) {
    const { steps, trainable } = finished
    const source = await orThrow(openSource(options.model))
    await checkFinished(options, source, finished).finally(() => source.checkpoint.close())
    yield { event: 'resumed', step: steps, from: null, finished: true }
    yield ended({ steps, trainable, adapter: options.out, interrupted: false, target: null, began })
    return
  }
  const reservation = await orThrow(reserve(options.out))
  try {
    const source = await orThrow(openSource(options.model))
    try {
      checkStop(options.signal)
      const checkpoints = await resuming(options, source)
      for (const message of checkpoints?.warnings ?? []) yield { event: 'warning', message }
      const from = checkpoints?.from
      if (options.resume === true)
        yield { event: 'resumed', step: from?.state.step ?? 0, from: from?.file ?? null, finished: false }
      yield* run(options, await prepare(options, source), checkpoints, began)
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

const reasonIn = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Does work that is skipped once a run is to stop; what has been saved stays. */
const unlessStopped = async <A>(work: () => Promise<A>, saved: string | undefined): Promise<A | undefined> => {
  try {
    return await work()
  } catch (error) {
    if (isInterruption(error)) return undefined
    if (saved === undefined) throw error
    throw new StepFailed(`${reasonIn(error)}; the adapter is saved in ${saved}`, { cause: error })
  }
}

/** Saves; what ended the run, if anything did, is told beside the reason why nothing can be saved. */
const savedAfter = async <A>(broken: unknown, save: () => Promise<A>): Promise<A> => {
  try {
    return await save()
  } catch (error) {
    if (broken === undefined) throw error
    throw new StepFailed(`${reasonIn(broken)}; the adapter cannot be saved: ${reasonIn(error)}`, { cause: broken })
  }
}

async function* run(
  options: FinetuneOptions,
  prepared: Prepared,
  checkpoints: Resuming | undefined,
  began: number,
): AsyncGenerator<FinetuneEvent> {
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

  const from = checkpoints?.from
  const weights = stoppable(lazy, options.signal)
  const origin = await originOf(options, prepared)
  const schedule = runSchedule({ ...options, lr, steps })
  const selecting = performance.now()
  const selected =
    options.select === undefined
      ? undefined
      : from && options.select !== 'random'
        ? selectionIn(from.session)
        : await selectColumns(source, weights, targets.modules, examples, {
            ...options,
            select: options.select,
            steps: options.selectSteps ?? defaultSelectSteps,
            shareColumns: method.shareColumns === true,
            plan: options,
          })
  if (selected && !from && options.select !== 'random')
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

  if (checkpoints) checkTarget(options.out, checkpoints, session.target)
  const evaluate = async (signal: StopSignal | undefined): Promise<Evaluation<Unit> | undefined> =>
    evaluation && evaluateOn(session, evaluation.examples, options.batch, signal)
  // statistics that an adapter holds stay in it, changed again or not
  const held = new Map(leaves(await session.buffers(), isFloats))
  // the base's own columns or entries go into the adapter; for whole weights, the base is the model
  const base = keepsBase(method.method) ? (await session.read()).focus : undefined
  if (from) await session.restore(from.session)
  else if (old && moments) {
    const { focus, state } = await session.read()
    const carried = { saved: moments, old: selectionOf(old), now: session.selection, optimizer }
    for (const message of momentWarnings(state, carried))
      yield { event: 'warning', message: `${options.adapter}: ${message}` }
    await session.write({ focus, state: withMoments(state, carried) })
  }
  const before = from ? from.state.before : await evaluate(options.signal)
  if (before) yield { event: 'evaluated', when: 'before', ...before }
  const first = from?.state.step ?? 0
  let done = first
  let broken: unknown
  const keeper = checkpoints && keeperOf(checkpoints, session, before)
  try {
    const stopping = { signal: options.signal, after: first }
    for await (const event of trainOn(session, examples, plan, k => rateAt(schedule, k), stopping)) {
      done = event.step
      yield event
      if (options.saveEvery !== undefined && done % options.saveEvery === 0 && done < steps) await keeper?.save(done)
    }
  } catch (error) {
    // data that cannot be read end a run, and so do numbers that are not finite; what it has learned is saved first
    if (error instanceof CheckpointFailed) throw error
    const isKnown = isIoError(error) || error instanceof StepFailed
    if (done === 0 && error instanceof StepFailed)
      throw new StepFailed(`${error.message}; nothing is saved`, { cause: error })
    if (done === 0 || !isKnown || isInterruption(error)) throw error
    broken = error
  }
  if (keeper && done > 0 && (broken !== undefined || (options.signal?.aborted === true && done < steps))) {
    const checkpoint = await keeper.save(done)
    if (broken !== undefined) throw new StepFailed(`${reasonOf(broken)}; ${goingOn(checkpoint)}`, { cause: broken })
    const evalLossBefore = before?.loss ?? null
    const made = { steps: done, trainable, evalLossBefore, checkpoint, target: session.target }
    yield ended({ ...made, interrupted: true, began })
    return
  }
  let saved: SavedRun | undefined
  if (done > 0) {
    const { focus, state, buffers: last } = await session.read()
    const record = checkpoints && { run: { steps: done, trainable, settings: checkpoints.settings } }
    const settings = { ...origin.settings, epochsBegun: epochsBegun(examples.length, plan, done), ...record }
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
    saved = await savedAfter(broken, () => saveRun(options.out, old ? continuing(old, now) : now, saving))
    if (checkpoints && saved.problem === undefined) await removeCheckpoints(checkpoints.folder)
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

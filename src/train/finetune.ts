import * as TE from 'fp-ts/lib/TaskEither.js'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  checkDestination, hashOf, ioError, orThrow, saveAdapter, stepCount, type AdapterOrigin, type BatchPlan, type IoError, type Rows,
} from '../io/index.ts'
import { compile } from '../target/index.ts'
import { batchDims, evaluateRows, train, type StepEvent, type StopSignal } from './loop.ts'
import {
  methodOptions, optimizer, parameterCounts, readColumns, targetWidths, tuneLlama, type MethodChoice, type MethodOptions, type TunedLlama,
} from './method.ts'
import { adapterOf } from './saved.ts'
import { rateAt, runSchedule, type ScheduleName } from './schedule.ts'
import { checkMemory, checkModel, openModel, readRowsFor, rowWarnings, targetOptions, told, type RunOptions, type PretrainedModel } from './source.ts'
import { trainStep } from './step.ts'
import { versions } from './versions.ts'

/** What `partensor finetune` is asked; see its `--help`. */
export interface FinetuneOptions extends RunOptions, MethodChoice {
  readonly model: string
  readonly data: string
  readonly eval?: string | undefined
  /** A safetensors file with the selection. */
  readonly columns?: string | undefined
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
}
export type FinetuneEvent =
  | StartEvent | StepEvent | DoneEvent
  | { readonly event: 'warning'; readonly message: string }
  | { readonly event: 'evaluated'; readonly when: 'before' | 'after'; readonly loss: number; readonly tokens: number }

/** The method, with its selection read from a file where one is named. */
const methodOf = (options: FinetuneOptions, source: PretrainedModel): TE.TaskEither<IoError, MethodOptions> => pipe(
  TE.fromEither(methodOptions(options)),
  TE.flatMap((method): TE.TaskEither<IoError, MethodOptions> => {
    const { columns } = options
    if (columns === undefined) return TE.right(method)
    if (method.method === 'full') return TE.left(ioError('--method full trains whole weights: it takes no --columns'))
    return pipe(
      TE.fromEither(targetWidths(source, method.method, method.targetModules)),
      TE.flatMap(widths => readColumns(columns, widths, method.rank)),
      TE.map(selection => ({ ...method, columns: selection })))
  }))

const planOf = ({ batch, accumulate, shuffle, seed, steps, epochs }: FinetuneOptions): BatchPlan =>
  ({ batch, accumulate, shuffle, seed, ...(steps === undefined ? { epochs: epochs ?? 1 } : { steps }) })

/** Everything that can be checked without weights. */
interface Prepared {
  readonly source: PretrainedModel
  readonly tuned: TunedLlama
  readonly method: MethodOptions
  readonly data: Rows
  readonly evaluation: Rows | undefined
  readonly plan: BatchPlan
  readonly steps: number
}

const prepare = async (options: FinetuneOptions, source: PretrainedModel): Promise<Prepared> => {
  const method = await orThrow(methodOf(options, source)), tuned = await orThrow(TE.fromEither(tuneLlama(source, method)))
  const data = await orThrow(readRowsFor(source, options.data, options.seq))
  const evaluation = options.eval === undefined ? undefined : await orThrow(readRowsFor(source, options.eval, options.seq))
  const plan = planOf(options), steps = stepCount(data.rows.length, plan)
  await orThrow(TE.fromEither(checkWarmup(options, steps)))
  await orThrow(checkModel(source, options))
  return { source, tuned, method, data, evaluation, plan, steps }
}

const checkWarmup = ({ warmup, schedule }: FinetuneOptions, steps: number): E.Either<IoError, void> =>
  schedule !== 'constant' && warmup >= steps && warmup > 0
    ? E.left(ioError(`--warmup ${warmup} leaves no step to the ${schedule} schedule: there are ${steps} steps`)) : E.right(undefined)

const originOf = async (options: FinetuneOptions, { source, steps }: Prepared): Promise<AdapterOrigin> => {
  const { model, targetModules, seed, data, batch, accumulate, shuffle, lr, schedule, warmup, weightDecay, clip } = options
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
  const { source, tuned, method, data: { rows, warnings }, evaluation, plan, steps } = prepared
  for (const message of rowWarnings(options.data, warnings)) yield { event: 'warning', message }
  for (const message of evaluation ? rowWarnings(options.eval!, evaluation.warnings) : []) yield { event: 'warning', message }

  const origin = await originOf(options, prepared), schedule = runSchedule({ ...options, steps })
  const step = trainStep(tuned, optimizer({ ...options, lr: schedule }))
  await using session = told(await compile(step, { ...targetOptions(options), weights: source.weights }), options)
  await source.checkpoint.close()
  const { trainable, all: parameters } = parameterCounts(tuned, source.checkpoint)
  const dims = batchDims(rows, plan), bytes = session.certificate(dims).total
  await orThrow(checkMemory(bytes, session.limit))
  yield { event: 'start', target: session.target, trainable, parameters, rows: rows.length, steps, batch: dims.batch, seq: dims.seq, bytes }

  const evaluate = async (): Promise<{ readonly loss: number; readonly tokens: number } | undefined> =>
    evaluation && evaluateRows(session, evaluation.rows, options.batch)
  // the base's own columns go into the adapter; of whole weights the base is the model
  const base = method.method === 'paca' ? (await session.read()).focus : undefined
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
    const { focus } = await session.read()
    const trained = method.method === 'full' ? { method: method.method, focus }
      : { method: method.method, rank: method.rank, columns: session.columns, base, focus }
    await orThrow(saveAdapter(options.out, adapterOf(origin, trained)))
  }
  yield {
    event: 'done', steps: done, trainable, evalLossBefore: before?.loss ?? null, evalLossAfter: after?.loss ?? null,
    adapter: done > 0 ? options.out : null, interrupted, seconds: (performance.now() - began) / 1000,
  }
}

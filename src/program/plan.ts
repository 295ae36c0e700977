import * as E from 'fp-ts/lib/Either.js'
import { basename } from 'node:path'
import {
  fitsOf,
  foresee,
  SessionError,
  type Foresight,
  type Precision,
  type StepPlan,
  type TargetName,
} from '../backend/index.ts'
import type { Course } from '../compile/index.ts'
import { checkReplaceable, replaceFile } from '../host/index.ts'
import { loadShapes, type AnyLoaded } from '../io/index.ts'
import { bytesText, fail, isIoError, orThrow, type IoError } from '../text/index.ts'
import type { MethodName, OptimizerName } from '../tune/index.ts'
import { stepOf } from './explain.ts'
import { machineNamed, type Machine } from './machines.ts'
import { applicable, methodOptions, type MethodChoice } from './method.ts'
import type { ModelPlan, PlanResult, RefusedPlan, Sweep, SweepPoint } from './plan-types.ts'
import { recomputing, type MemoryOptions, type RunOptions } from './pretrained.ts'

/** The options of `partensor plan`. */
export interface PlanModelOptions extends MethodChoice, MemoryOptions, Pick<RunOptions, 'onWarning'> {
  /** The name of a published model, a config.json, a directory or a checkpoint file. */
  readonly model: string
  readonly batch: number
  /** Tokens of a row (default: 512); images have none. */
  readonly seq?: number | undefined
  readonly target?: TargetName | undefined
  readonly precision?: Precision | undefined
  readonly optimizer?: OptimizerName | undefined
  /** The micro-batches of a step. */
  readonly accumulate?: number | undefined
  /** A device by name, or its bytes. */
  readonly device?: string | undefined
  readonly sweep?: Sweep | undefined
  /** The methods that are planned side by side. */
  readonly methods?: readonly MethodName[] | undefined
  /** A file for a page that shows the plan. */
  readonly html?: string | undefined
}

/** The sizes at which a curve is drawn: powers of two, up to the first that does not fit. */
const curve = (
  foresight: Foresight,
  dims: Readonly<Record<string, number>>,
  sweep: Sweep,
  device: Machine | undefined,
): readonly SweepPoint[] => {
  const points: SweepPoint[] = []
  for (let size = sweep === 'seq' ? 128 : 1; points.length < 10; size *= 2) {
    const { saved, passing, total } = foresight.at({ ...dims, [sweep]: size })
    points.push({ size, saved, passing, total, ...(device ? { fits: total <= device.bytes } : {}) })
    if (device && total > device.bytes) break
  }
  return points
}

/** Refuses sizes of which something is more than a number counts. */
const checkCounted = (
  amount: number,
  { batch, seq }: Pick<PlanModelOptions, 'batch' | 'seq'>,
): E.Either<IoError, void> =>
  Number.isSafeInteger(amount)
    ? E.right(undefined)
    : fail(`--batch ${batch}${seq === undefined ? '' : ` --seq ${seq}`}: the step holds more bytes than can be counted`)

const checkDevice = ({ weights, state }: StepPlan, device: Machine | undefined): E.Either<IoError, void> =>
  device === undefined || weights + state <= device.bytes
    ? E.right(undefined)
    : fail(
        `--device ${device.name} holds ${bytesText(device.bytes, 'down')}, and the weights with the optimizer's state take ${bytesText(weights + state, 'up')}`,
      )

/** Plans the step of an open model under one method, with the course of its memory for a page. Rejects with an `IoError`. */
const planOne = async (
  source: AnyLoaded,
  choice: MethodChoice,
  options: PlanModelOptions,
  device: Machine | undefined,
): Promise<{ readonly plan: ModelPlan; readonly course?: Course }> => {
  const { batch, seq, target, precision = 'f32', optimizer, accumulate, checkpointing, memory, sweep, html } = options
  const { architecture, config, task } = source.checkpoint
  const method = await orThrow(async () => methodOptions(choice, architecture))
  const { step, dims, ofBatch } = await stepOf(source, method, { batch, seq, optimizer })
  if (sweep !== undefined && !Object.hasOwn(ofBatch, sweep))
    await orThrow(async () => fail(`--sweep ${sweep} is of texts, and this model classifies images`))
  await orThrow(async () => checkCounted(batch * (ofBatch.seq ?? 1), { batch, seq }))
  const foresight = await foresee(step, {
    target,
    precision,
    ...(accumulate === undefined ? {} : { accumulate }),
    compiler: recomputing({ checkpointing }),
    memory,
  })
  const plan = foresight.at(dims)
  const course = html === undefined ? undefined : foresight.course?.(dims)
  await orThrow(async () => checkCounted(plan.total, { batch, seq }))
  await orThrow(async () => checkDevice(plan, device))
  const bytes = Math.min(device?.bytes ?? 0, memory ?? Number.POSITIVE_INFINITY)
  const fits = device && fitsOf(foresight, dims, bytes, Object.keys(ofBatch))
  const made: ModelPlan = {
    method: method.method,
    target: foresight.target,
    precision,
    ...ofBatch,
    ...plan,
    savedPerRow: plan.saved / (batch * (ofBatch.seq ?? 1)),
    ...(device && fits
      ? {
          device,
          maxBatch: fits['batch']?.largest ?? 0,
          ...(ofBatch.seq === undefined ? {} : { maxSeq: fits['seq']?.largest ?? 0 }),
        }
      : {}),
    ...(task === 'text' ? { reads: config.max_position_embeddings } : {}),
    ...(foresight.limit === undefined ? {} : { limit: foresight.limit }),
    ...(foresight.caveat === undefined ? {} : { caveat: foresight.caveat }),
    ...(sweep === undefined ? {} : { sweep: curve(foresight, dims, sweep, device) }),
  }
  return { plan: made, ...(course === undefined ? {} : { course }) }
}

/** Plans one method or several; a method among several that the model or a budget refuses has the reason. */
const planned = async (
  source: AnyLoaded,
  { methods, ...options }: PlanModelOptions,
  device: Machine | undefined,
): Promise<{ readonly result: PlanResult; readonly course?: Course }> => {
  if (methods === undefined) {
    const { plan, ...more } = await planOne(source, options, options, device)
    return { result: plan, ...more }
  }
  const rows: (ModelPlan | RefusedPlan)[] = []
  for (const method of methods) {
    try {
      rows.push((await planOne(source, applicable(method, options), options, device)).plan)
    } catch (error) {
      if (!isIoError(error) && !(options.memory !== undefined && error instanceof SessionError)) throw error
      rows.push({ method, refused: error.message })
    }
  }
  return { result: { rows } }
}

/**
 * Plans the training step of a model from its shapes alone: what a run will need, and the largest batch and the longest
 * rows that a device holds. Errors are thrown with one sentence; a method among several that the model refuses is a row
 * with the reason.
 * @example await planModel({ model: 'llama3-8b', method: 'paca', rank: 64, seed: 0, batch: 1, seq: 512, device: 'h100' })
 */
export const planModel = async (options: PlanModelOptions): Promise<PlanResult> => {
  const { model, onWarning, device: named, memory, sweep, html } = options
  const device = named === undefined ? undefined : await orThrow(async () => machineNamed(named))
  if (memory !== undefined && sweep !== undefined)
    await orThrow(async () => fail('--sweep is of plans that are alike: it goes without --memory'))
  if (html !== undefined) await orThrow(checkReplaceable(html))
  const source = await orThrow(loadShapes(model))
  try {
    for (const message of source.checkpoint.warnings) onWarning?.(message)
    const { result, course } = await planned(source, options, device)
    if (html !== undefined) {
      const { planPage } = await import('./page/plan-page.ts')
      const page = await planPage(result, { model: basename(model), sweep, course })
      await orThrow(replaceFile(html, page))
    }
    return result
  } finally {
    await source.checkpoint.close()
  }
}

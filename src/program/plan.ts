import * as E from 'fp-ts/lib/Either.js'
import { fitsOf, foresee, type Foresight, type Precision, type StepPlan, type TargetName } from '../backend/index.ts'
import { loadShapes, type AnyLoaded } from '../io/index.ts'
import { fail, isIoError, orThrow, type IoError } from '../text/index.ts'
import type { MethodName, OptimizerName } from '../tune/index.ts'
import { stepOf } from './explain.ts'
import { machineNamed, type Machine } from './machines.ts'
import { applicable, methodOptions, type MethodChoice } from './method.ts'
import { recomputing, type RunOptions } from './pretrained.ts'

/** The sizes of a batch over which a plan is swept. */
export const sweeps = ['seq', 'batch'] as const
export type Sweep = (typeof sweeps)[number]

/** The options of `partensor plan`. */
export interface PlanModelOptions extends MethodChoice, Pick<RunOptions, 'onWarning'> {
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
  /** Keeps only the input of each layer, and recomputes the rest of it in the backward pass. */
  readonly checkpointing?: boolean | undefined
}

/** The plan of a model's step under a method. */
export interface ModelPlan extends StepPlan {
  readonly method: MethodName
  readonly target: string
  readonly precision: Precision
  readonly batch: number
  /** Tokens of a row; absent for images. */
  readonly seq?: number
  /** Bytes from forward to backward for each token, or for each image. */
  readonly savedPerRow: number
  readonly device?: Machine
  /** The largest batch that fits the device at this length; 0 if none does. */
  readonly maxBatch?: number
  /** The longest rows that fit the device at this batch; 0 if none do. */
  readonly maxSeq?: number
  /** The longest rows that the model reads, if it reads texts. */
  readonly reads?: number
  /** The most bytes that the target can hold, if there is such a limit. */
  readonly limit?: number
  readonly sweep?: readonly SweepPoint[]
}

/** A point of a curve: the plan at one size. */
export interface SweepPoint extends Pick<StepPlan, 'saved' | 'passing' | 'total'> {
  readonly size: number
  /** Absent without a device. */
  readonly fits?: boolean
}

/** A method that the model or the options refuse. */
export interface RefusedPlan {
  readonly method: MethodName
  readonly refused: string
}

/** The plans of one method, or of several side by side. */
export type PlanResult = ModelPlan | { readonly rows: readonly (ModelPlan | RefusedPlan)[] }

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`

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
        `--device ${device.name} holds ${gigabytes(device.bytes)}, and the weights with the optimizer's state take ${gigabytes(weights + state)}`,
      )

/** Plans the step of an open model under one method. Rejects with an `IoError`. */
const planOne = async (
  source: AnyLoaded,
  choice: MethodChoice,
  options: PlanModelOptions,
  device: Machine | undefined,
): Promise<ModelPlan> => {
  const { batch, seq, target, precision = 'f32', optimizer, accumulate, checkpointing, sweep } = options
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
  })
  const plan = foresight.at(dims)
  await orThrow(async () => checkCounted(plan.total, { batch, seq }))
  await orThrow(async () => checkDevice(plan, device))
  const fits = device && fitsOf(foresight, dims, device.bytes, Object.keys(ofBatch))
  return {
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
    ...(sweep === undefined ? {} : { sweep: curve(foresight, dims, sweep, device) }),
  }
}

/**
 * Plans the training step of a model from its shapes alone: what a run will need, and the largest batch and the longest
 * rows that a device holds. Errors are thrown with one sentence; a method among several that the model refuses is a row
 * with the reason.
 * @example await planModel({ model: 'llama3-8b', method: 'paca', rank: 64, seed: 0, batch: 1, seq: 512, device: 'h100' })
 */
export const planModel = async (options: PlanModelOptions): Promise<PlanResult> => {
  const { model, methods, onWarning, device: named, ...choice } = options
  const device = named === undefined ? undefined : await orThrow(async () => machineNamed(named))
  const source = await orThrow(loadShapes(model))
  try {
    for (const message of source.checkpoint.warnings) onWarning?.(message)
    if (methods === undefined) return await planOne(source, choice, options, device)
    const rows: (ModelPlan | RefusedPlan)[] = []
    for (const method of methods) {
      try {
        rows.push(await planOne(source, applicable(method, choice), options, device))
      } catch (error) {
        if (!isIoError(error)) throw error
        rows.push({ method, refused: error.message })
      }
    }
    return { rows }
  } finally {
    await source.checkpoint.close()
  }
}

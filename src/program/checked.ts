import * as TE from 'fp-ts/lib/TaskEither.js'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { epochsBegun, stepCount, type BatchPlan, type Adapter } from '../io/index.ts'
import { attemptSync, fail, ioError, orThrow, type IoError } from '../text/index.ts'
import type { Lazy } from '../tune/index.ts'
import { readColumns } from './columns-file.ts'
import { continuedFrom, type Continued } from './start-from.ts'
import { methodOptions } from './method.ts'
import { chooseOptimizer, type ChosenOptimizer } from '../train/index.ts'
import { buffersWithAdapters, inRange, loadMoments, withAdapters, type SavedMoments } from '../train/finetune.ts'
import type { FinetuneOptions } from './request.ts'
import { checkSelectSteps, defaultSelectSteps } from './selection.ts'
import { checkModel } from './pretrained.ts'
import { fittingData, isClassifier, readExamples, targetsFor, type DataSet, type Source } from './source.ts'
import { withStatisticsFrozen } from './classifier.ts'
import { tuneAny } from './tune.ts'
import { loadOne } from './adapter-arguments.ts'

const planOf = (
  { batch, accumulate, shuffle, seed, steps, epochs }: FinetuneOptions,
  firstEpoch: number,
): BatchPlan => ({
  batch,
  accumulate,
  shuffle,
  seed,
  firstEpoch,
  ...(steps === undefined ? { epochs: epochs ?? 1 } : { steps }),
})

/**
 * The number of epochs that an adapter was trained for, from its settings, or for an earlier version from its steps
 * over these rows; otherwise unknown.
 */
const epochsOf = (adapter: Adapter | undefined, rowCount: number): number => {
  const { epochsBegun: begun, steps, batch, accumulate } = adapter?.settings ?? {}
  const isCount = (value: unknown): value is number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  if (isCount(begun)) return begun
  return isCount(steps) && isCount(batch) && isCount(accumulate) && batch > 0
    ? epochsBegun(rowCount, { batch, accumulate, steps }, steps)
    : 0
}

/** The result of all checks that need no weights. */
export interface Prepared extends Omit<Continued, 'written'> {
  readonly source: Source
  readonly warnings: readonly string[]
  /** The base, with those parts of an adapter to continue from that are written into it. */
  readonly weights: Lazy<unknown>
  /** The same of its buffers. */
  readonly buffers: Lazy<unknown> | undefined
  readonly old: Adapter | undefined
  readonly moments: SavedMoments | undefined
  readonly optimizer: ChosenOptimizer
  readonly data: DataSet
  readonly evaluation: DataSet | undefined
  readonly plan: BatchPlan
  readonly steps: number
}

/** The trained modules and their initial values, as requested, or as an adapter has them. */
const begin = (options: FinetuneOptions, source: Source, old: Adapter | undefined): TE.TaskEither<IoError, Continued> =>
  pipe(
    TE.fromEither(
      old
        ? continuedFrom(old, options.adapter!, options)
        : pipe(
            methodOptions(options, source.checkpoint.architecture),
            E.flatMap(method =>
              pipe(
                targetsFor(source, method),
                E.map((targets): Continued => ({ options: method, targets, beginning: {}, written: undefined })),
              ),
            ),
          ),
    ),
    TE.flatMap((begun): TE.TaskEither<IoError, Continued> =>
      options.columns === undefined
        ? TE.right(begun)
        : pipe(
            readColumns(options.columns, begun.targets.modules, source.checkpoint),
            TE.map(chosen => ({ ...begun, beginning: { ...begun.beginning, chosen } })),
          ),
    ),
  )

/**
 * Checks everything that needs no weights: the model, the adapter to continue from, the method, the rows. Errors are
 * thrown with one sentence.
 */
export const prepare = async (options: FinetuneOptions, opened: Source): Promise<Prepared> => {
  const optimizer = await orThrow(TE.fromEither(chooseOptimizer(options)))
  const bound = options.adapter === undefined ? undefined : await loadOne(opened, options.adapter)
  const old = bound?.uses[0]?.adapter
  // an adapter has its own head
  const { source: fitting, notes } = bound
    ? { source: bound.source, notes: [] }
    : await orThrow(fittingData(opened, options.data, options.seed))
  const source = await orThrow(async () => trainedAs(fitting, options))
  const warnings = [...opened.checkpoint.warnings, ...(bound?.warnings ?? []), ...notes]
  const { written, ...begun } = await orThrow(begin(options, source, old))
  // what a method cannot adapt is reported before a selection is made
  await orThrow(TE.fromEither(tuneAny(source, begun.options, begun.beginning, begun.targets)))
  const { augment: _, ...held } = options
  const data = await orThrow(readExamples(source, options.data, options, options.seed))
  const { length } = data.examples
  await orThrow(checkSelectSteps(options.select, options.selectSteps ?? defaultSelectSteps, length))
  const evaluation = options.eval === undefined ? undefined : await orThrow(readExamples(source, options.eval, held))
  const plan = planOf(options, epochsOf(old, length))
  const steps = stepCount(length, plan)
  await orThrow(TE.fromEither(checkWarmup(options, steps)))
  await orThrow(checkModel(source, options))
  const weights = inRange(
    written ? withAdapters(source.weights, [{ adapter: written }]) : source.weights,
    options.precision,
  )
  const buffers = buffersWithAdapters(source.buffers, old ? [{ adapter: old }] : [])
  const moments = options.adapter === undefined ? undefined : await orThrow(loadMoments(options.adapter))
  return { ...begun, source, warnings, weights, buffers, old, moments, optimizer, data, evaluation, plan, steps }
}

/** The model as it is trained: with frozen statistics, if they are asked for. */
const trainedAs = (source: Source, { frozenStatistics }: FinetuneOptions): E.Either<IoError, Source> =>
  frozenStatistics !== true
    ? E.right(source)
    : isClassifier(source)
      ? attemptSync(source.checkpoint.path, () => withStatisticsFrozen(source))
      : fail('--frozen-statistics is of images, and this model reads texts')

const checkWarmup = ({ warmup, schedule }: FinetuneOptions, steps: number): E.Either<IoError, void> =>
  schedule !== 'constant' && warmup >= steps && warmup > 0
    ? E.left(ioError(`--warmup ${warmup} leaves no step to the ${schedule} schedule: there are ${steps} steps`))
    : E.right(undefined)

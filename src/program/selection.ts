import * as TE from 'fp-ts/lib/TaskEither.js'
import { inputGroups } from '../compile/index.ts'
import type { BatchPlan } from '../io/index.ts'
import { ioError, orThrow, type IoError } from '../text/index.ts'
import {
  adapt,
  columnNorms,
  full,
  isFloats,
  leaves,
  moduleOf,
  selectByScore,
  squaredNorms,
  tensorsOf,
  type Lazy,
} from '../tune/index.ts'
import type { ResolvedModule } from '../tune/modules/modules.ts'
import { compile, checkStop, stoppable } from '../backend/index.ts'
import { count, inputsAxis } from '../tensor/index.ts'
import { trainStep } from '../train/index.ts'
import { isFloatLeaf, trainOn, type Examples } from '../train/finetune.ts'
import type { SelectionRule } from './method.ts'
import { checkMemory, recomputing, targetOptions, type MemoryOptions, type RunOptions } from './pretrained.ts'
import type { AnyBatch, Source } from './source.ts'
import { anyModel } from './tune.ts'

/** The options of a selection. */
export interface SelectionOptions extends RunOptions, MemoryOptions {
  readonly select: SelectionRule
  /** The steps over which gradients are summed. */
  readonly steps: number
  readonly shareColumns: boolean
  readonly plan: Pick<BatchPlan, 'batch' | 'accumulate' | 'shuffle' | 'seed'>
}

/** The default number of steps by which selection by gradient ranks columns, as in the paper. */
export const defaultSelectSteps = 100

/** Refuses a selection by gradients over more steps than there are rows. */
export const checkSelectSteps = (
  select: SelectionRule | undefined,
  steps: number,
  rows: number,
): TE.TaskEither<IoError, void> =>
  select === 'gradient' && rows < steps
    ? TE.left(
        ioError(
          `--select gradient looks at ${steps} steps, and there are ${rows} rows: give it --select-steps ${rows} or fewer`,
        ),
      )
    : TE.right(undefined)

/** Σ w² of each column, module by module; each weight is read once and then dropped. */
const weightScores = async (
  source: Source,
  weights: Lazy<unknown>,
  paths: ReadonlySet<string>,
): Promise<ReadonlyMap<string, ArrayLike<number>>> => {
  const axes = new Map(
    tensorsOf(anyModel(source).params).map(([path, leaf]) => [moduleOf(path), inputsAxis(leaf) ?? 0]),
  )
  const scores = new Map<string, ArrayLike<number>>()
  for (const [path, leaf] of leaves(weights, isFloatLeaf)) {
    if (!paths.has(path)) continue
    const { data, sizes } = 'read' in leaf ? await leaf.read() : leaf
    const axis = axes.get(path) ?? 0
    scores.set(path, squaredNorms(data, sizes[axis]!, count(sizes.slice(axis + 1))))
  }
  return scores
}

/** Σ ‖g‖² of each column over some steps without updates. */
const gradientScores = async (
  source: Source,
  weights: Lazy<unknown>,
  paths: readonly string[],
  examples: Examples<AnyBatch>,
  { steps, plan, signal, ...run }: SelectionOptions,
): Promise<ReadonlyMap<string, ArrayLike<number>>> => {
  const batches: BatchPlan = { ...plan, steps }
  const dims = examples.dims(batches)
  await using session = await compile(trainStep(adapt(anyModel(source), full({ targets: paths })), columnNorms()), {
    ...targetOptions(run),
    weights,
    buffers: source.buffers,
    compiler: recomputing(run),
    memory: run.memory,
    batch: dims,
  })
  await orThrow(checkMemory(session.certificate(dims).total, session.limit, 'selection by gradient'))
  for await (const _ of trainOn(session, examples, batches, () => 0, { signal }));
  checkStop(signal)
  return new Map(
    leaves((await session.read()).state, isFloats).map(([path, { data }]) => [path.replace(/^squares\./, ''), data]),
  )
}

/**
 * The columns that PaCA trains, by module; `undefined` if the method itself draws them at random. Errors are thrown
 * with one sentence, also for an interrupt through `signal`.
 * @example await selectColumns(source, weights, modules, examples, { select: 'weight', steps: 100, shareColumns: false, plan, target: 'auto' })
 */
export const selectColumns = async (
  source: Source,
  lazy: Lazy<unknown>,
  modules: readonly ResolvedModule[],
  examples: Examples<AnyBatch>,
  options: SelectionOptions,
): Promise<ReadonlyMap<string, Int32Array> | undefined> => {
  const weights = stoppable(lazy, options.signal)
  const paths = modules.map(({ path }) => path)
  const ranks = new Map(modules.map(({ path, rank }) => [path, rank]))
  const rankOf = (path: string): number => ranks.get(path)!
  const groups = options.shareColumns ? inputGroups(anyModel(source)) : []
  switch (options.select) {
    case 'random':
      return undefined
    case 'weight':
      return selectByScore(await weightScores(source, weights, new Set(paths)), groups, rankOf)
    case 'gradient':
      return selectByScore(await gradientScores(source, weights, paths, examples, options), groups, rankOf)
  }
}

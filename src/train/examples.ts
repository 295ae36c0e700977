import {
  lengthFor,
  microBatch,
  planSteps,
  scoredCapacity,
  type BatchPlan,
  type MicroBatch,
  type Row,
} from '../io/index.ts'
import type { Dims } from '../backend/index.ts'

/** The things that a loss is a mean over. */
export type Unit = 'tokens' | 'images'

/** The examples of a data set, and how they become batches. `B` is the data of one batch. */
export interface Examples<B, U extends Unit = Unit> {
  readonly unit: U
  /** The number of examples. */
  readonly length: number
  /** Sizes that fit every micro-batch of a plan, so that a single program serves them all. */
  readonly dims: (plan: BatchPlan) => Dims
  /** The sizes among them that no batch shows. */
  readonly unseen: (plan: BatchPlan) => Dims
  /**
   * The micro-batches of each step, made while they are read: epoch by epoch, each example once, and no micro-batch
   * crosses the end of an epoch. They begin behind the first `after` steps (default 0), which were made before.
   */
  readonly steps: (plan: BatchPlan, after?: number) => Iterable<readonly B[]> | AsyncIterable<readonly B[]>
  /** The first examples alone. */
  readonly first: (count: number) => Examples<B, U>
}

/**
 * The sizes of the batches of rows of tokens: one length and one capacity of scored positions, so that a single plan
 * serves them all.
 */
export interface BatchDims {
  readonly [dim: string]: number
  readonly batch: number
  readonly seq: number
  readonly scored: number
}

/**
 * The sizes that fit every micro-batch of a plan.
 * @example batchDims(rows, { batch: 2, steps: 30 }) // { batch: 2, seq: 64, scored: 40 }
 */
export const batchDims = (rows: readonly Row[], plan: BatchPlan): BatchDims => ({
  batch: plan.batch,
  seq: lengthFor(rows),
  scored: scoredCapacity(rows, plan),
})

const pick = (rows: readonly Row[], indices: readonly number[]): readonly Row[] => indices.flatMap(i => rows[i] ?? [])

/**
 * Rows of tokens as examples: micro-batches of one size, which rows of padding fill up.
 * @example trainOn(session, textExamples(rows), { batch: 2, steps: 30 }, k => rateAt(schedule, k))
 */
export const textExamples = (rows: readonly Row[]): Examples<MicroBatch, 'tokens'> => ({
  unit: 'tokens',
  length: rows.length,
  dims: plan => batchDims(rows, plan),
  unseen: plan => ({ scored: scoredCapacity(rows, plan) }),
  *steps(plan, after) {
    const dims = batchDims(rows, plan)
    for (const step of planSteps(rows.length, plan, after))
      yield step.map(indices => microBatch(pick(rows, indices), plan.batch, dims))
  },
  first: count => textExamples(rows.slice(0, count)),
})

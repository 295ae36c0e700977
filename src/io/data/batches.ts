import { permutation, type Value } from '../../tensor/index.ts'
import { notScored, scoredCount, type Row } from './rows.ts'

/**
 * The data of one forward and backward pass: `batch` rows of `seq` tokens, padded at the end; the label of padding is
 * -100.
 */
export interface MicroBatch {
  readonly input_ids: Value<readonly ['batch', 'seq'], 'i32'>
  readonly labels: Value<readonly ['batch', 'seq'], 'i32'>
}

/** The grouping of rows into batches. Either `steps` or `epochs` ends the plan. */
export type BatchPlan = {
  /** Rows per micro-batch. */
  readonly batch: number
  /** Micro-batches per step (default 1). */
  readonly accumulate?: number
  /** True if every epoch has an order of its own, a function of the seed and the epoch's number. */
  readonly shuffle?: boolean
  readonly seed?: number
  /** The number of the first epoch (default 0): the epochs that a continued run has begun before. */
  readonly firstEpoch?: number
} & ({ readonly steps: number } | { readonly epochs: number })

/** The layout of a micro-batch. */
export interface BatchLayout {
  /** Tokens per row; longer rows are cut. */
  readonly seq: number
  /** The id of padding. Any id works, because nothing that is scored attends to it. */
  readonly padId?: number
}

/** The row numbers of micro-batches, epoch by epoch; the last micro-batch of an epoch may be short. */
function* indexBatches(
  rowCount: number,
  { batch, shuffle = false, seed = 0, firstEpoch = 0 }: BatchPlan,
  epochs: number,
): Generator<readonly number[]> {
  for (let epoch = firstEpoch; epoch < firstEpoch + epochs; epoch++) {
    const order = shuffle ? [...permutation(seed, epoch, rowCount)] : Array.from({ length: rowCount }, (_, i) => i)
    for (let start = 0; start < rowCount; start += batch) yield order.slice(start, start + batch)
  }
}

/** The number of steps of a plan over `rowCount` rows. @example stepCount(10, { batch: 4, epochs: 2 }) // 6 */
export const stepCount = (rowCount: number, plan: BatchPlan): number =>
  'steps' in plan ? plan.steps : Math.ceil((plan.epochs * Math.ceil(rowCount / plan.batch)) / (plan.accumulate ?? 1))

/**
 * The number of epochs begun after `steps` steps of a plan, including those before it: the first epoch of a run that
 * continues.
 * @example epochsBegun(10, { batch: 4, epochs: 2 }, 4) // 2
 */
export const epochsBegun = (rowCount: number, plan: BatchPlan, steps: number): number => {
  const begun = Math.ceil((steps * (plan.accumulate ?? 1)) / Math.ceil(rowCount / plan.batch))
  // if epochs end the run, its last step may be short
  return (plan.firstEpoch ?? 0) + ('epochs' in plan ? Math.min(begun, plan.epochs) : begun)
}

/**
 * The row numbers of every micro-batch of every step, lazily. Every row appears once per epoch. A micro-batch never
 * crosses the end of an epoch; a step may, and its micro-batches continue with the next epoch. If epochs end the run,
 * its last step may have fewer micro-batches. The steps begin behind the first `after`, which were made before.
 * @example [...planSteps(3, { batch: 2, accumulate: 2, epochs: 1 })] // [[[0, 1], [2]]]
 */
export function* planSteps(rowCount: number, plan: BatchPlan, after = 0): Generator<readonly (readonly number[])[]> {
  if (!(rowCount > 0 && plan.batch > 0 && (plan.accumulate ?? 1) > 0))
    throw new RangeError('rows, batch and accumulate must be at least 1')
  const source = indexBatches(rowCount, plan, 'epochs' in plan ? plan.epochs : Infinity)
  const steps = stepCount(rowCount, plan)
  for (let step = 0; step < steps; step++) {
    const group: (readonly number[])[] = []
    while (group.length < (plan.accumulate ?? 1)) {
      const next = source.next()
      if (next.done === true) break
      group.push(next.value)
    }
    if (step >= after) yield group
  }
}

/**
 * Rows as one micro-batch of `batch` rows; if there are fewer, unscored rows of padding fill it up.
 * @example microBatch(rows, 2, { seq: 64 })
 */
export const microBatch = (rows: readonly Row[], batch: number, { seq, padId = 0 }: BatchLayout): MicroBatch => {
  const layout = (pad: number, part: (row: Row) => Int32Array): Value<readonly ['batch', 'seq'], 'i32'> => {
    const data = new Int32Array(batch * seq).fill(pad)
    rows.forEach((row, i) => data.set(part(row).subarray(0, seq), i * seq))
    return { shape: ['batch', 'seq'], sizes: [batch, seq], dtype: 'i32', data }
  }
  return { input_ids: layout(padId, row => row.input_ids), labels: layout(notScored, row => row.labels) }
}

const pick = (rows: readonly Row[], indices: readonly number[]): readonly Row[] => indices.flatMap(i => rows[i] ?? [])

/**
 * The micro-batches of every step, made lazily. They are determined by data, plan and layout; `planSteps` describes the
 * order.
 * @example for (const step of microBatches(rows, { batch: 2, steps: 30, shuffle: true, seed: 0 }, { seq: 64 })) await run.step(step)
 */
export function* microBatches(
  rows: readonly Row[],
  plan: BatchPlan,
  layout: BatchLayout,
): Generator<readonly MicroBatch[]> {
  for (const step of planSteps(rows.length, plan))
    yield step.map(indices => microBatch(pick(rows, indices), plan.batch, layout))
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to

/** The smallest multiple of 8 that holds the longest row, but not more than `seq`. @example lengthFor(rows, 256) */
export const lengthFor = (rows: readonly Row[], seq = Infinity): number =>
  Math.min(
    seq,
    Math.max(
      8,
      roundUp(
        rows.reduce((longest, row) => Math.max(longest, row.input_ids.length), 0),
        8,
      ),
    ),
  )

/**
 * The number of rows up to which the micro-batches of a plan are examined one by one; for a longer plan, the largest
 * rows are assumed to meet.
 */
const longestSurvey = 2 ** 18

/**
 * The largest number of scored positions (after the shift of labels) in any micro-batch of the plan, rounded up to a
 * multiple of 8: the capacity of a loss that selects the scored positions from the logits. The rows must already be cut
 * to their length. For a shuffled plan of more than 250 000 rows it is the total of the rows with the most scored
 * positions, which is too high if they never meet.
 * @example scoredCapacity(rows, { batch: 2, steps: 30, shuffle: true, seed: 0 })
 */
export const scoredCapacity = (rows: readonly Row[], plan: BatchPlan): number => {
  const scored = rows.map(scoredCount)
  const largest = scored.toSorted((a, b) => b - a).slice(0, plan.batch)
  const most = largest.reduce((sum, n) => sum + n, 0)
  const perEpoch = Math.ceil(rows.length / plan.batch)
  const inPlan = stepCount(rows.length, plan) * (plan.accumulate ?? 1)
  // without shuffling, every epoch is like the first
  const surveyed = plan.shuffle === true ? inPlan : Math.min(inPlan, perEpoch)
  const found =
    surveyed * Math.min(plan.batch, rows.length) > longestSurvey && plan.shuffle === true
      ? most
      : mostOf(scored, plan, surveyed)
  return Math.max(8, roundUp(found, 8))
}

/** The largest number of scored positions in the first micro-batches of a plan. */
const mostOf = (scored: readonly number[], plan: BatchPlan, first: number): number => {
  let most = 0
  let left = first
  for (const step of planSteps(scored.length, plan)) {
    for (const indices of step) {
      if (left-- <= 0) return most
      most = Math.max(
        most,
        indices.reduce((sum, i) => sum + (scored[i] ?? 0), 0),
      )
    }
  }
  return most
}

import { fail, orThrow } from '../host/index.ts'
import {
  lengthFor,
  microBatch,
  planSteps,
  scoredCapacity,
  giveWay,
  type BatchPlan,
  type MicroBatch,
  type Row,
} from '../io/index.ts'
import type { Dims, StepResult, StopSignal } from '../backend/index.ts'

/** One step, as it is reported. */
export interface StepEvent {
  readonly event: 'step'
  /** From 1. */
  readonly step: number
  /** Mean over the scored tokens of the step, before its update. */
  readonly loss: number
  /** The learning rate of the update. */
  readonly lr: number
  /** Norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Scored tokens. */
  readonly tokens: number
  readonly seconds: number
}

/** What the loop asks of a session. */
export interface Trainable {
  step(batches: readonly MicroBatch[], dims?: Dims): Promise<StepResult>
}
/** What evaluation asks of a session. */
export interface Evaluable {
  evaluate(batch: MicroBatch, dims?: Dims): Promise<{ readonly sum: number; readonly count: number }>
}

/** The sizes of a run's batches: one length and one capacity of scored positions, so that one plan serves them all. */
export interface BatchDims {
  readonly [dim: string]: number
  readonly batch: number
  readonly seq: number
  readonly scored: number
}

/**
 * The sizes that hold every micro-batch of a plan.
 * @example batchDims(rows, { batch: 2, steps: 30 }) // { batch: 2, seq: 64, scored: 40 }
 */
export const batchDims = (rows: readonly Row[], plan: BatchPlan): BatchDims => ({
  batch: plan.batch,
  seq: lengthFor(rows),
  scored: scoredCapacity(rows, plan),
})

const pick = (rows: readonly Row[], indices: readonly number[]): readonly Row[] => indices.flatMap(i => rows[i] ?? [])

/** A step that stopped the run; `step` counts from 1. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

/**
 * Trains over rows, one event a step; the session holds what was learned. A run that is to stop (`signal`) ends after
 * the step it is in. Errors: a step that fails, a loss that is no number included, ends the run with its number; what
 * earlier steps learned stays.
 * @example for await (const { step, loss } of train(session, rows, { batch: 2, steps: 30 }, k => rateAt(schedule, k))) console.log(step, loss)
 */
export async function* train(
  session: Trainable,
  rows: readonly Row[],
  plan: BatchPlan,
  rate: (step: number) => number,
  options: { readonly signal?: StopSignal | undefined } = {},
): AsyncGenerator<StepEvent> {
  const dims = batchDims(rows, plan)
  let step = 0
  for (const indices of planSteps(rows.length, plan)) {
    // a target may compute without ever waiting: interrupts, timers and displays get their turn here
    await giveWay(undefined)
    if (options.signal?.aborted === true) return
    step += 1
    const before = performance.now()
    try {
      const batches = indices.map(group => microBatch(pick(rows, group), plan.batch, dims))
      const { loss, gradNorm, tokens } = await session.step(batches, { scored: dims.scored })
      yield {
        event: 'step',
        step,
        loss,
        lr: rate(step),
        gradNorm,
        tokens,
        seconds: (performance.now() - before) / 1000,
      }
    } catch (error) {
      throw new StepFailed(`step ${step}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}

/** The loss over a data set: a mean over all scored tokens. */
export interface Evaluation {
  readonly loss: number
  readonly tokens: number
}

/**
 * Evaluates rows in batches; the last one is filled with padding. Errors: a loss that is not finite; where it is to
 * stop (`signal`), an `IoError` that says so.
 * @example const { loss } = await evaluateRows(session, rows, 4)
 */
export const evaluateRows = async (
  session: Evaluable,
  rows: readonly Row[],
  batch: number,
  signal?: StopSignal,
): Promise<Evaluation> => {
  const plan: BatchPlan = { batch, epochs: 1 }
  const dims = batchDims(rows, plan)
  let sum = 0
  let tokens = 0
  for (const [group = []] of planSteps(rows.length, plan)) {
    await giveWay(signal)
    const result = await session.evaluate(microBatch(pick(rows, group), batch, dims), { scored: dims.scored })
    if (!Number.isFinite(result.sum))
      await orThrow(async () =>
        fail(
          `the loss of rows ${(group[0] ?? 0) + 1} to ${(group.at(-1) ?? 0) + 1} is ${result.sum}: the numbers of the model are too large for its precision`,
        ),
      )
    sum += result.sum
    tokens += result.count
  }
  return { loss: sum / tokens, tokens }
}

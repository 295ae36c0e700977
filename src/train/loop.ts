import { fail, orThrow } from '../text/index.ts'
import {
  lengthFor,
  microBatch,
  planSteps,
  scoredCapacity,
  type BatchPlan,
  type MicroBatch,
  type Row,
} from '../io/index.ts'
import { giveWay } from '../backend/index.ts'
import type { Dims, StepResult, StopSignal } from '../backend/index.ts'

/** The report of one step. */
export interface StepEvent {
  readonly event: 'step'
  /** The number of the step, from 1. */
  readonly step: number
  /** Mean loss over the scored tokens of the step, before its update. */
  readonly loss: number
  /** The learning rate of the update. */
  readonly lr: number
  /** The norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Scored tokens. */
  readonly tokens: number
  readonly seconds: number
}

/** The part of a session that the loop needs. */
export interface Trainable {
  step(batches: readonly MicroBatch[], dims?: Dims): Promise<StepResult>
}
/** The part of a session that evaluation needs. */
export interface Evaluable {
  evaluate(batch: MicroBatch, dims?: Dims): Promise<{ readonly sum: number; readonly count: number }>
}

/**
 * The sizes of a run's batches: one length and one capacity of scored positions, so that a single plan serves them all.
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

/** A step that stopped the run; `step` counts from 1. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

/**
 * Trains over rows, with one event per step; the session holds the result. A run that is to stop (`signal`) ends after
 * the current step. Errors: a failing step, including one whose loss is not a number, ends the run with the step's
 * number; the results of earlier steps stay.
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
    // a target may compute without ever waiting: interrupts, timers and displays are handled here
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
 * Evaluates rows in batches; the last one is filled with padding. Errors: a loss that is not finite; an `IoError` for
 * an interrupt through `signal`.
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

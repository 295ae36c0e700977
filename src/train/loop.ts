import { fail, orThrow } from '../text/index.ts'
import type { BatchPlan, MicroBatch, Row } from '../io/index.ts'
import { giveWay } from '../backend/index.ts'
import type { Dims, StepResult, StopSignal } from '../backend/index.ts'
import { textExamples, type Examples, type Unit } from './examples.ts'

/** The report of one step; `tokens` are the scored ones, and of images it has `images`. */
export type StepEvent<U extends Unit = 'tokens'> = {
  readonly event: 'step'
  /** The number of the step, from 1. */
  readonly step: number
  /** Mean loss of the step, before its update. */
  readonly loss: number
  /** The learning rate of the update. */
  readonly lr: number
  /** The norm of the gradient before clipping. */
  readonly gradNorm: number
  readonly seconds: number
} & { readonly [Counted in U]: number }

/** The part of a session that the loop needs. */
export interface Trainable<B = MicroBatch> {
  step(batches: readonly B[], dims?: Dims): Promise<StepResult>
}
/** The part of a session that evaluation needs. */
export interface Evaluable<B = MicroBatch> {
  evaluate(
    batch: B,
    dims?: Dims,
  ): Promise<{ readonly sum: number; readonly count: number; readonly metrics?: Readonly<Record<string, number>> }>
}

/** A step that stopped the run; `step` counts from 1. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

/** A number of things by their name. */
const counted = <U extends Unit>(unit: U, count: number): { readonly [Counted in U]: number } =>
  // the one key is the unit
  ({ [unit]: count }) as { readonly [Counted in U]: number }

/** The options of a loop. */
export interface TrainOptions {
  /** Ends the loop after the current step. */
  readonly signal?: StopSignal | undefined
  /** The number of steps of the plan that were made before (default 0): the loop goes on behind them. */
  readonly after?: number | undefined
}

/**
 * Trains over examples of any kind, with one event per step; the session holds the result. A run that is to stop
 * (`signal`) ends after the current step. Errors: a failing step, including one whose rate or loss is not finite, ends
 * the run with the step's number; an example that cannot be read ends it with an `IoError`. The results of earlier steps stay.
 * @example for await (const { step, loss } of trainOn(session, examples, { batch: 32, steps: 100 }, () => 1e-3)) console.log(step, loss)
 */
export async function* trainOn<B, U extends Unit>(
  session: Trainable<B>,
  examples: Examples<B, U>,
  plan: BatchPlan,
  rate: (step: number) => number,
  options: TrainOptions = {},
): AsyncGenerator<StepEvent<U>> {
  const dims = examples.unseen(plan)
  let step = options.after ?? 0
  for await (const batches of examples.steps(plan, step)) {
    // a target may compute without ever waiting: interrupts, timers and displays are handled here
    await giveWay(undefined)
    if (options.signal?.aborted === true) return
    step += 1
    const before = performance.now()
    const lr = rate(step)
    if (!Number.isFinite(lr)) throw new StepFailed(`step ${step}: the learning rate is ${lr}: nothing was updated`)
    try {
      const { loss, gradNorm, tokens } = await session.step(batches, dims)
      const seconds = (performance.now() - before) / 1000
      yield { event: 'step', step, loss, lr, gradNorm, ...counted(examples.unit, tokens), seconds }
    } catch (error) {
      throw new StepFailed(`step ${step}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}

/**
 * Trains over rows of tokens, as {@link trainOn} does.
 * @example for await (const { step, loss } of train(session, rows, { batch: 2, steps: 30 }, k => rateAt(schedule, k))) console.log(step, loss)
 */
export const train = (
  session: Trainable,
  rows: readonly Row[],
  plan: BatchPlan,
  rate: (step: number) => number,
  options: TrainOptions = {},
): AsyncGenerator<StepEvent> => trainOn(session, textExamples(rows), plan, rate, options)

/** The loss over a data set: a mean over all scored tokens, or over all images, for which there are metrics too. */
export type Evaluation<U extends Unit = 'tokens'> = { readonly loss: number } & { readonly [Counted in U]: number } & {
  readonly metrics?: Readonly<Record<string, number>>
}

/** A mean of metrics so far: sums of what each batch has, times its count. */
type Sums = Readonly<Record<string, number>>
const added = (sums: Sums, metrics: Readonly<Record<string, number>>, count: number): Sums =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, (sums[name] ?? 0) + count * value]))

/**
 * Evaluates examples of any kind in batches. Errors: a loss that is not finite; an `IoError` for an interrupt through
 * `signal`, and for an example that cannot be read.
 * @example const { loss, images, metrics } = await evaluateOn(session, examples, 32)
 */
export const evaluateOn = async <B, U extends Unit>(
  session: Evaluable<B>,
  examples: Examples<B, U>,
  batch: number,
  signal?: StopSignal,
): Promise<Evaluation<U>> => {
  const plan: BatchPlan = { batch, epochs: 1 }
  const dims = examples.unseen(plan)
  let [sum, count, done] = [0, 0, 0]
  let sums: Sums = {}
  for await (const [one] of examples.steps(plan)) {
    await giveWay(signal)
    const result = await session.evaluate(one!, dims)
    if (!Number.isFinite(result.sum)) {
      const last = Math.min(done + batch, examples.length)
      const those = examples.unit === 'images' ? 'images' : 'rows'
      await orThrow(async () =>
        fail(
          `the loss of ${those} ${done + 1} to ${last} is ${result.sum}: the numbers of the model are too large for its precision`,
        ),
      )
    }
    sum += result.sum
    count += result.count
    done += batch
    sums = added(sums, result.metrics ?? {}, result.count)
  }
  const metrics = Object.fromEntries(Object.entries(sums).map(([name, total]) => [name, total / count]))
  return {
    loss: sum / count,
    ...counted(examples.unit, count),
    ...(Object.keys(metrics).length > 0 ? { metrics } : {}),
  }
}

/**
 * Evaluates rows in batches; the last one is filled with padding. Errors: those of {@link evaluateOn}.
 * @example const { loss } = await evaluateRows(session, rows, 4)
 */
export const evaluateRows = (
  session: Evaluable,
  rows: readonly Row[],
  batch: number,
  signal?: StopSignal,
): Promise<Evaluation> => evaluateOn(session, textExamples(rows), batch, signal)

import type { Planned } from '../compile/index.ts'
import type { Evaluation, StepEvent, Unit } from '../train/finetune.ts'

/** The facts that are known before the first step. */
export interface StartEvent {
  readonly event: 'start'
  readonly target: string
  readonly trainable: number
  readonly parameters: number
  /** The number of rows or images. */
  readonly rows: number
  readonly unit: Unit
  readonly steps: number
  readonly batch: number
  /** Tokens of a row; images have none. */
  readonly seq?: number
  /** The plan: the most bytes that a step holds, including weights and optimizer state. */
  readonly bytes: number
  /** The floating-point operations of a step's loss and gradients. */
  readonly flops: number
  /** The plan that recomputes nothing, if this one was to recompute or to fit a budget. */
  readonly instead?: Planned
  /** The bytes that the process holds now, with the runtime and its libraries. */
  readonly process: number
}
export interface DoneEvent {
  readonly event: 'done'
  readonly steps: number
  readonly trainable: number
  /** Loss over the evaluation data; null if there is none. */
  readonly evalLossBefore: number | null
  readonly evalLossAfter: number | null
  /** The means of the model's metrics over the evaluation data, if it has some. */
  readonly evalMetricsBefore?: Readonly<Record<string, number>>
  readonly evalMetricsAfter?: Readonly<Record<string, number>>
  /**
   * The directory of the adapter: `out`, or another if it was kept elsewhere; null if the run was stopped before its
   * first step.
   */
  readonly adapter: string | null
  /** The checkpoint of a run that was stopped and can go on. */
  readonly checkpoint?: string
  readonly interrupted: boolean
  readonly seconds: number
  /** Null if the run was stopped before its session was open. */
  readonly target: string | null
  /** The most bytes that the process has held so far. */
  readonly peakMemory: number
}

/** The beginning of a run that was to go on from its last checkpoint. */
export interface ResumedEvent {
  readonly event: 'resumed'
  /** The steps that were made before; 0 if there is no checkpoint, and all of them if the run had finished. */
  readonly step: number
  /** The checkpoint; null if there is none, as for a run that had finished. */
  readonly from: string | null
  readonly finished: boolean
}
export type FinetuneEvent =
  | ResumedEvent
  | StartEvent
  | StepEvent
  | StepEvent<'images'>
  | DoneEvent
  | { readonly event: 'warning'; readonly message: string }
  | { readonly event: 'selected'; readonly by: 'weight' | 'gradient'; readonly seconds: number }
  | ({ readonly event: 'evaluated'; readonly when: 'before' | 'after' } & (Evaluation | Evaluation<'images'>))

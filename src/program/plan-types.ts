import type { Precision, StepPlan } from '../backend/index.ts'
import type { MethodName } from '../tune/index.ts'
import type { Machine } from './machines.ts'

/** The sizes of a batch over which a plan is swept. */
export const sweeps = ['seq', 'batch'] as const
export type Sweep = (typeof sweeps)[number]

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
  /** The reason why a run may hold more than the plan, for a target where that is so. */
  readonly caveat?: string
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

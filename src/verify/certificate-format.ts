import type { DescentSummary, MeasuredStep, Arithmetic, Rounding, StepRecord } from './descent.ts'

/** The fields of a certificate of convergence. All of it is plain JSON; every number is finite. */

export const certificateFormat = 'partensor.convergence'
export const certificateVersion = 1

/** A proved upper bound of L_P, with the data needed to prove it again. */
export interface Proved {
  readonly kind: 'proved'
  /** The bound: L_P of the mean loss over the rows is at most this. */
  readonly value: number
  /** The row loss over the trained product: linear, logistic, softmax, or its own name. */
  readonly head: string
  /** The largest curvature of the row loss in its logits. */
  readonly curvature: number
  /** The divisor of the mean. */
  readonly count: number
  /**
   * The Gram matrix of the features of the trained coordinates: its size, its upper triangle (float64 in base64), and a
   * bound of its rounding error.
   */
  readonly witness: { readonly size: number; readonly gram: string; readonly radius: number }
  readonly assumed: readonly string[]
  /** SHA-256 of the features. */
  readonly features: string
}

/** A caution that states the limits of an estimate of the curvature. */
export const estimateCaution =
  'power iteration finds the largest |eigenvalue| at single points, from below: neither a bound nor the largest eigenvalue'

/** An estimate of L_P by power iteration on Hessian-vector products inside the focus. */
export interface Estimated {
  readonly kind: 'estimated'
  /** The largest estimate at any examined point. */
  readonly value: number
  /** Hessian-vector products for each point. */
  readonly iterations: number
  /** The seed of the first direction. */
  readonly seed: number
  /** The number of points of the run at which the curvature was estimated. */
  readonly points: number
  /** The relative change in the last iteration. */
  readonly change: number
  readonly caution: typeof estimateCaution
}
export type Curvature = Proved | Estimated

/** The curvature inside one mask, at the same weights and batch as the others. */
export interface MaskCurvature {
  readonly name: string
  readonly trained: number
  readonly curvature: Estimated
}
/** Curvatures inside some masks, to compare with that of all weights. */
export interface MaskCurvatures<M = MaskCurvature> {
  readonly all: MaskCurvature
  readonly parts: readonly M[]
}

/** The model, method and data of a run. */
export interface Subject {
  readonly model: string
  /** SHA-256 of the data, 64 hexadecimal digits. */
  readonly data: string
  readonly method: string
  readonly targets: readonly string[]
  readonly rank: number | null
  /** The number of trained parameters. */
  readonly trained: number
  readonly rows: number
  readonly seq: number | null
  readonly target: string
  readonly precision: Arithmetic
}

/**
 * The rule that turns a gradient into an update. `sgd` is plain gradient descent if its steps have no `directional`.
 */
export interface OptimizerRecord {
  readonly name: string
  /** The rate of every step, if the schedule is `constant`; otherwise the peak. */
  readonly lr: number
  readonly schedule: string
  readonly settings: Readonly<Record<string, string | number | boolean | null>>
}

/** The facts known after a run, from which everything else in a certificate is derived. */
export interface VerifiedRun {
  readonly subject: Subject
  readonly seeds: Readonly<Record<string, number>>
  readonly optimizer: OptimizerRecord
  readonly curvature: Curvature
  readonly masks?: MaskCurvatures
  readonly rounding: Rounding
  /** A lower bound of the loss, or null. */
  readonly lowest: number | null
  readonly steps: readonly MeasuredStep[]
  /** Assumptions in addition to those that the certificate makes by itself. */
  readonly assumed: readonly string[]
  readonly versions: Readonly<Record<string, string>>
}

/** The curvature of a part of the weights: `atMostAll` if its estimate did not exceed that of all weights. */
export interface ObservedMask extends MaskCurvature {
  readonly atMostAll: boolean
}

/** Partensor's certificate of convergence: the measurements, what follows from them, and which of that is proved. */
export interface ConvergenceCertificate extends VerifiedRun {
  readonly format: typeof certificateFormat
  readonly version: typeof certificateVersion
  /** The form of Theorem 1 that the steps are compared with. */
  readonly statement: string
  readonly masks?: MaskCurvatures<ObservedMask>
  readonly steps: readonly StepRecord[]
  readonly summary: DescentSummary
  /** The proved statements, under the assumptions; empty if there are none. */
  readonly claims: readonly string[]
  /** SHA-256 of the canonical JSON of everything else. */
  readonly digest: string
}

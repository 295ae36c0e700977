import type { DescentSummary, MeasuredStep, Arithmetic, Rounding, StepRecord } from './descent.ts'

/** What stands in a certificate of convergence. All of it is plain JSON; every number is finite. */

export const certificateFormat = 'partensor.convergence'
export const certificateVersion = 1

/** An upper bound of L_P that was proved, with what it takes to prove it again. */
export interface Proved {
  readonly kind: 'proved'
  /** L_P of the mean loss over the rows is at most this. */
  readonly value: number
  /** Which row loss stands over the trained product: linear, logistic, softmax, or its own name. */
  readonly head: string
  /** The largest curvature of the row loss in its logits. */
  readonly curvature: number
  /** What the mean divides by. */
  readonly count: number
  /**
   * The Gram matrix of the features of the trained coordinates: size, upper triangle (float64 in base64), how far
   * rounding may have moved it.
   */
  readonly witness: { readonly size: number; readonly gram: string; readonly radius: number }
  readonly assumed: readonly string[]
  /** SHA-256 of the features. */
  readonly features: string
}

/** What an estimate of the curvature is not. */
export const estimateCaution =
  'power iteration finds the largest |eigenvalue| at single points, from below: neither a bound nor the largest eigenvalue'

/** An estimate of L_P by power iteration on Hessian-vector products inside the focus. */
export interface Estimated {
  readonly kind: 'estimated'
  /** The largest estimate at any point that was looked at. */
  readonly value: number
  /** Products for each point. */
  readonly iterations: number
  /** Of the first direction. */
  readonly seed: number
  /** How many points of the run were looked at. */
  readonly points: number
  /** The relative change in the last iteration. */
  readonly change: number
  readonly caution: typeof estimateCaution
}
export type Curvature = Proved | Estimated

/** The curvature inside one mask, at the same weights and batch as that of the others. */
export interface MaskCurvature {
  readonly name: string
  readonly trained: number
  readonly curvature: Estimated
}
/** Curvatures beside that of all weights. */
export interface MaskCurvatures<M = MaskCurvature> {
  readonly all: MaskCurvature
  readonly parts: readonly M[]
}

/** What was trained, on what. */
export interface Subject {
  readonly model: string
  /** SHA-256 of the data, 64 hexadecimal digits. */
  readonly data: string
  readonly method: string
  readonly targets: readonly string[]
  readonly rank: number | null
  /** Trained parameters. */
  readonly trained: number
  readonly rows: number
  readonly seq: number | null
  readonly target: string
  readonly precision: Arithmetic
}

/** How the update was made of the gradient. `sgd` is plain gradient descent where its steps have no `directional`. */
export interface OptimizerRecord {
  readonly name: string
  /** The rate of every step, if the schedule is `constant`; otherwise the peak. */
  readonly lr: number
  readonly schedule: string
  readonly settings: Readonly<Record<string, string | number | boolean | null>>
}

/** What is known after a run, of which everything else in a certificate is made. */
export interface VerifiedRun {
  readonly subject: Subject
  readonly seeds: Readonly<Record<string, number>>
  readonly optimizer: OptimizerRecord
  readonly curvature: Curvature
  readonly masks?: MaskCurvatures
  readonly rounding: Rounding
  /** A number that the loss is nowhere below, or null. */
  readonly lowest: number | null
  readonly steps: readonly MeasuredStep[]
  /** What was assumed besides what the certificate says by itself. */
  readonly assumed: readonly string[]
  readonly versions: Readonly<Record<string, string>>
}

/** A part beside all weights: whether its estimate was at most theirs. */
export interface ObservedMask extends MaskCurvature {
  readonly atMostAll: boolean
}

/** Partensor's certificate of convergence: what was measured, what follows from it, and what of that is proved. */
export interface ConvergenceCertificate extends VerifiedRun {
  readonly format: typeof certificateFormat
  readonly version: typeof certificateVersion
  /** Which form of Theorem 1 the steps are held to. */
  readonly statement: string
  readonly masks?: MaskCurvatures<ObservedMask>
  readonly steps: readonly StepRecord[]
  readonly summary: DescentSummary
  /** What is proved, under what is assumed; empty where nothing is. */
  readonly claims: readonly string[]
  /** SHA-256 of the canonical JSON of everything else. */
  readonly digest: string
}

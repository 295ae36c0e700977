/**
 * The convergence of a run: bounds and estimates of the curvature, the inequality of Theorem 1 for each step,
 * certificates.
 */
export {
  descentBound,
  descentStep,
  isPlain,
  largestRate,
  roundingOf,
  summarize,
  type DescentSummary,
  type MeasuredStep,
  type Arithmetic,
  type Rounding,
  type StepRecord,
  type Verdict,
} from './descent.ts'
export {
  estimateCaution,
  type ConvergenceCertificate,
  type Curvature,
  type Estimated,
  type MaskCurvature,
  type MaskCurvatures,
  type ObservedMask,
  type OptimizerRecord,
  type Proved,
  type Subject,
  type VerifiedRun,
} from './certificate-format.ts'
export { canonicalJson, certificateOf, certificateText, digestOf } from './certificate.ts'
export {
  checkProved,
  headOf,
  provedCurvature,
  type CurvatureRun,
  type Features,
  type Head,
  type NoBound,
  type RowLosses,
} from './bound/index.ts'
export { checkCertificate, type CertificateReport, type ProofChecker } from './check.ts'
export { certificatePicture } from './picture.ts'
export { powerIteration, randomDirection, type PowerIteration } from './estimate.ts'
export { verify, VerifyError, type MeasuredOptimizer, type VerifyEvent, type VerifyOptions } from './verify.ts'

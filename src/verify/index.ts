/**
 * The convergence of a run: bounds and estimates of the curvature, the inequality of Theorem 1 for each step,
 * certificates.
 */
export { descentStep, type DescentSummary, type MeasuredStep, type Rounding, type StepRecord } from './descent.ts'
export type { ConvergenceCertificate, Curvature, Estimated, OptimizerRecord, Proved } from './certificate-format.ts'
export { certificateText } from './certificate.ts'
export { provedCurvature, type CurvatureRun, type NoBound } from './bound/index.ts'
export { checkCertificate, type CertificateReport, type ProofChecker } from './check.ts'
export { certificatePicture, svgOf } from './picture.ts'
export { powerIteration, randomDirection, type PowerIteration } from './estimate.ts'
export { verify, VerifyError, type MeasuredOptimizer, type VerifyEvent, type VerifyOptions } from './verify.ts'

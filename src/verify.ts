/**
 * `partensor/verify`: the convergence of a run, measured and proved. Bounds and estimates of the curvature, the
 * inequality of Theorem 1 for each step, certificates and their checker.
 * @packageDocumentation
 */
export { verify, checkCertificate, certificateText, VerifyError } from './verify/index.ts'
export { provedCurvature, powerIteration, randomDirection, descentStep } from './verify/index.ts'
export type { VerifyOptions, ConvergenceCertificate, CertificateReport, ProofChecker } from './verify/index.ts'
export type { Proved, Estimated, Curvature, StepRecord, MeasuredStep, Rounding, NoBound } from './verify/index.ts'
export type { VerifyEvent, MeasuredOptimizer, DescentSummary, OptimizerRecord } from './verify/index.ts'
export type { CurvatureRun, PowerIteration } from './verify/index.ts'

/** Targets that run programs: reference, tfjs, graph; one session interface. */
export { autoInWords, chooseTarget, type Choice } from './choice.ts'
export { compile, type TargetOptions } from './compile.ts'
export { SessionError, type Buffer, type Device, type PromptDevice } from './device.ts'
export { explainOn, type ExplainTarget } from './explain.ts'
export { fitsOf, foresee, plan, type DevicePlan, type Fit, type PlanOptions, type PlanTarget } from './plan.ts'
export type { Foresight, NamedBuffer, StepPlan } from './foresee.ts'
export { deviceEngine } from './device-engine.ts'
export type { Engine, EngineDecoder, FedBatch, Loading, OpenEngine, Stepped, Sums } from './engine.ts'
export { openSession, type OpenOptions, type SessionOptions } from './open.ts'
export { precisions, type Precision } from './precision.ts'
export { referenceDevice, type Held } from './reference/device.ts'
export type {
  Batches,
  Certificate,
  Decoder,
  Dims,
  Evaluated,
  SavedSession,
  Session,
  SomeValues,
  StepResult,
} from './session.ts'
export type { Explaining, Opening, Target } from './target.ts'
export { registeredTargets, targetNames, type TargetName } from './targets.ts'
export { atOnce, checkStop, giveWay, stoppable, unhurried } from './stop.ts'
export type { StopSignal } from './turn.ts'

/** Targets that run programs: reference, tfjs, graph; one session interface. */
export { autoInWords, chooseTarget, type Choice } from './choice.ts'
export { compile, type TargetOptions } from './compile.ts'
export { SessionError, type Buffer, type Device, type PromptDevice } from './device.ts'
export { explainOn, type ExplainTarget } from './explain.ts'
export { deviceEngine } from './device-engine.ts'
export type { Engine, EngineDecoder, FedBatch, Loading, OpenEngine, Stepped, Sums } from './engine.ts'
export {
  addonFile,
  buildFolder,
  buildRevision,
  inspectBuild,
  logFile,
  manifestFile,
  nativeBuilds,
  nativeFolder,
  scriptsFolder,
  tensorflowPackages,
  tensorflowVersion,
  type NativeBuild,
  type TensorflowPackage,
} from './native/builds.ts'
export { nativeXla } from './native/abilities.ts'
export type { Native } from './native/native.ts'
export { nativeStatus, type NativeStatus } from './native/status.ts'
export { openSession, type SessionOptions } from './open.ts'
export { precisions, type Precision } from './precision.ts'
export { referenceDevice, type Held } from './reference/device.ts'
export type { Certificate, Decoder, Dims, Session, StepResult } from './session.ts'
export type { Explaining, Opening, Target } from './target.ts'
export { registeredTargets, targetNames, type TargetName } from './targets.ts'
export { turn, type StopSignal } from './turn.ts'
export { installNative, type NativeInstallOptions, type NativeInstalled } from './native/install/install.ts'

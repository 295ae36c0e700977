/** What runs a program: reference, tfjs; one session interface. */
export { cacheDirectory } from './cache.ts'
export { compile, targetNames, type TargetName, type TargetOptions } from './compile.ts'
export { SessionError, type Buffer, type Device } from './device.ts'
export {
  addonFile, buildFolder, inspectBuild, manifestFile, nativeBuilds, nativeFolder, scriptsFolder, tensorflowPackages, tensorflowVersion,
  type NativeBuild, type TensorflowPackage,
} from './native/builds.ts'
export type { Native } from './native/load.ts'
export { nativeStatus, type NativeStatus } from './native/status.ts'
export { openSession, type SessionOptions } from './open.ts'
export { referenceDevice } from './reference/device.ts'
export type { Certificate, Decoder, Dims, Session, StepResult } from './session.ts'

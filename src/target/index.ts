/** What runs a program: reference, tfjs; one session interface. */
export { compile, targetNames, type TargetName, type TargetOptions } from './compile.ts'
export { SessionError, type Buffer, type Device } from './device.ts'
export { openSession, type SessionOptions } from './open.ts'
export { referenceDevice } from './reference/device.ts'
export type { Certificate, Decoder, Dims, Session, StepResult } from './session.ts'

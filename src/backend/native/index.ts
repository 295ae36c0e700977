/** The TensorFlow that is installed on this machine, or that is to be. */
export { tensorflowVersion } from './builds.ts'
export { installNative } from './install/install.ts'
export { nativeStatus, type NativeStatus } from './status.ts'

/** Checkpoints, tokenizers, data sets, adapters on disk, downloads. Errors are tagged values. */
export * from './adapter/index.ts'
export type { Archive, Entry, MetadataValue, StoredDType, StoredValue } from './archive.ts'
export { writeAtomically, type Content } from './atomic.ts'
export * from './batches.ts'
export * from './chat.ts'
export { hashOf, openCheckpoint, type Checkpoint } from './checkpoint.ts'
export * from './dataset.ts'
export {
  codeOf,
  fail,
  interruption,
  ioError,
  isInterruption,
  isIoError,
  oneLine,
  orThrow,
  reasonOf,
  type IoError,
} from './error.ts'
export { checkRange } from './finite.ts'
export * from './hub.ts'
export { load, loadedFor, isTransposed, parameterName, type Loaded } from './load.ts'
export { saveMerged, type FloatDType, type MergedOptions } from './merged.ts'
export { installNative, type NativeInstalled, type NativeInstallOptions } from './native/install.ts'
export { exists, readText } from './file.ts'
export { printable, quoted } from './quote.ts'
export { checkDestination, reserve, type Reservation } from './reserve.ts'
export { openSafetensors, openSharded } from './safetensors.ts'
export * from './safetensors-write.ts'
export { checkStop, stoppable, giveWay } from './stop.ts'
export {
  resolveSaved,
  resolveTargets,
  type Bias,
  type ModuleNames,
  type ResolvedModule,
  type TargetRequest,
} from './targets.ts'
export { parsedJson } from './text.ts'
export * from './tokenizer.ts'
export type { TokenizerDescription } from './tokenizer-gguf.ts'
export * from './wordnet.ts'

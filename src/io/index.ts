/** Checkpoints, tokenizers, data sets, adapters on disk, downloads. Errors are tagged values. */
export {
  alphaOf,
  formOfModule,
  indexIn,
  rankOf,
  withModules,
  type AnyAdapter,
  type WeightedAdapter,
  type AdapterOrigin,
  type AdapterSettings,
  type MethodTensors,
  type Adapter,
  checkBase,
  fitAdapters,
  inputWidths,
  changes,
  mergedWeight,
  restoredWeight,
  loadAdapter,
  saveAdapter,
  combineAdapters,
  type WidthOf,
  savePeft,
  type PeftBase,
} from './adapter/index.ts'
export type { Archive, Entry, MetadataValue, StoredDType, StoredValue } from './checkpoint/archive.ts'
export {
  planSteps,
  batches,
  type MicroBatch,
  type BatchPlan,
  type BatchLayout,
  stepCount,
  epochsBegun,
  microBatch,
  lengthFor,
  scoredCapacity,
} from './data/batches.ts'
export { type ChatOptions, type TemplateTokens, type ChatTemplate, chatTemplate, renderChat } from './chat/chat.ts'
export { hashOf, openCheckpoint, type Checkpoint } from './checkpoint/checkpoint.ts'
export { type Row, type Rows, type RowOptions, encodeChat, readRows } from './data/rows.ts'
export { checkRange } from './checkpoint/finite.ts'
export { type ModelSource, type FetchOptions, checkCached, fetchModel } from './hub.ts'
export { load, loadedFor, type Loaded } from './checkpoint/load.ts'
export { saveMerged, type FloatDType, type MergedOptions } from './checkpoint/merged.ts'
export { openSafetensors, openSharded } from './safetensors/read.ts'
export { safetensorsBytes, type Leaf, leafOf } from './safetensors/write.ts'
export { checkStop, stoppable, giveWay } from './stop.ts'
export {
  type Tokenizer,
  decodeAfter,
  decodeNext,
  decodeRest,
  type TokenizerSource,
  loadTokenizer,
} from './tokenizer/tokenizer.ts'
export type { Message } from './chat/message.ts'

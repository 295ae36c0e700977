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
  peftBaseOf,
  savePeft,
  type PeftBase,
} from './adapter/index.ts'
export type { Archive, Entry, MetadataValue, StoredDType, StoredValue } from './checkpoint/archive.ts'
export {
  planSteps,
  microBatches,
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
export { hashOf, openCheckpoint, type Checkpoint, type CheckpointFiles } from './checkpoint/checkpoint.ts'
export { type Row, type Rows, type RowOptions, encodeChat, readRows } from './data/rows.ts'
export { checkRange } from './checkpoint/finite.ts'
export type { Augmentation, Interval } from './images/augment.ts'
export { imageFiles } from './images/class-folders.ts'
export { imageBatches, type ImageBatch, type ImageBatches, type ImageBatchOptions } from './images/batches.ts'
export { decodeImage, readImage } from './images/decode.ts'
export { type LabelledImage, type LabelledImages, type LabelledOptions, readLabelled } from './images/labelled.ts'
export type { Picture, PictureSize } from './images/picture.ts'
export { prepareImage } from './images/prepare.ts'
export type { ChannelValues, Preprocessing, Scaling } from './images/preprocessing.ts'
export { readPreprocessing } from './images/read-preprocessing.ts'
export type { Resampling } from './images/resample.ts'
export { timmPreprocessing } from './images/timm-transform.ts'
export { transformersPreprocessing } from './images/transformers-processor.ts'
export { type ModelSource, type FetchOptions, checkCached, fetchModel } from './hub.ts'
export { withClasses } from './checkpoint/classes.ts'
export { load, loadAny, loadedFor, loadedWith, type AnyLoaded, type Loaded } from './checkpoint/load.ts'
export { loadedShapes, loadShapes } from './checkpoint/shapes.ts'
export { saveModel, type ModelState } from './checkpoint/state.ts'
export { saveMerged, type FloatDType, type MergedOptions } from './checkpoint/merged.ts'
export { openSafetensors, openSharded } from './safetensors/read.ts'
export { safetensorsBytes, type Leaf, leafOf, type WrittenValue } from './safetensors/write.ts'
export {
  type Tokenizer,
  decodeAfter,
  decodeNext,
  decodeRest,
  type TokenizerSource,
  loadTokenizer,
} from './tokenizer/tokenizer.ts'
export type { Message } from './chat/message.ts'
export { loadValues, savedMetadata, type LoadedLike } from './values/load.ts'
export { saveValues, type SaveOptions } from './values/save.ts'

/**
 * `partensor/io`: files. Trees of values, checkpoints, tokenizers, data sets, images, adapters, downloads, the versions
 * and the cache of this machine.
 * @packageDocumentation
 */

// ── Trees of values ─────────────────────────────────────────────────────────────────────────────────────────────────
export { saveValues as save, loadValues as load, savedMetadata } from './io/index.ts'
export type { LoadedLike, SaveOptions } from './io/index.ts'

// ── Models from the hub, and checkpoints ────────────────────────────────────────────────────────────────────────────
export { fetchModel, hashOf, openCheckpoint, saveMerged, saveModel } from './io/index.ts'
export { openSafetensors, openSharded, safetensorsBytes, leafOf } from './io/index.ts'
export type { FetchOptions, ModelSource, Checkpoint, CheckpointFiles, Loaded, MergedOptions } from './io/index.ts'
export type { ModelState } from './io/index.ts'
export type { Archive, Entry, MetadataValue, StoredDType, StoredValue, Leaf, WrittenValue } from './io/index.ts'

// ── Tokenizers and data ─────────────────────────────────────────────────────────────────────────────────────────────
export { readRows, encodeChat, loadTokenizer, chatTemplate, renderChat } from './io/index.ts'
export type { Tokenizer, TokenizerSource, Row, Rows, RowOptions } from './io/index.ts'
export type { Message, ChatOptions, ChatTemplate, TemplateTokens } from './io/index.ts'

// ── Images ──────────────────────────────────────────────────────────────────────────────────────────────────────────
export { readLabelled, readImage, decodeImage, prepareImage } from './io/index.ts'
export { readPreprocessing, transformersPreprocessing, timmPreprocessing } from './io/index.ts'
export type { LabelledImage, LabelledImages, LabelledOptions, Picture, PictureSize } from './io/index.ts'
export type { Preprocessing, Scaling, Resampling, ChannelValues } from './io/index.ts'
export { imageBatches, type ImageBatch, type ImageBatches, type ImageBatchOptions } from './io/index.ts'
export type { Augmentation, Interval } from './io/index.ts'

// ── Adapters ────────────────────────────────────────────────────────────────────────────────────────────────────────
export { loadAdapter, saveAdapter, peftBaseOf, savePeft, mergedWeight } from './io/index.ts'
export type { Adapter, AdapterOrigin, AdapterSettings, WeightedAdapter, MethodTensors } from './io/index.ts'
export type { PeftBase, WidthOf } from './io/index.ts'
export { adapterOf, type TrainedParts } from './train/finetune.ts'

// ── This machine ────────────────────────────────────────────────────────────────────────────────────────────────────
export { cacheDirectory, versions } from './host/index.ts'

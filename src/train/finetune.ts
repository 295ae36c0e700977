/** Fine-tuning of pretrained models: loops over rows of tokens, texts, adapters, moments that are saved. */
export { adapterOf, keepsBase, remembering, type TrainedParts, selectionOf } from './adapter.ts'
export { buffersWithAdapters, changedBuffers, inRange, isFloatLeaf, withAdapters } from './adapted.ts'
export { generateText, type Generated } from './generate-text.ts'
export { continuing } from './joined.ts'
export { batchDims, textExamples, type Examples, type Unit } from './examples.ts'
export { imageExamples, type ImageExamplesOptions } from './image-examples.ts'
export {
  evaluateOn,
  evaluateRows,
  StepFailed,
  train,
  trainOn,
  type Evaluable,
  type Evaluation,
  type StepEvent,
  type Trainable,
  type TrainOptions,
} from './loop.ts'
export {
  loadMoments,
  momentWarnings,
  momentsFolder,
  momentsOf,
  saveMoments,
  type SavedMoments,
  withMoments,
} from './moments.ts'

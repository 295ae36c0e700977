/**
 * `partensor/model`: architectures, and pretrained models: opening them, training them on rows of tokens, continuing
 * texts.
 * @packageDocumentation
 */

// ── Pretrained models ───────────────────────────────────────────────────────────────────────────────────────────────
export { openModel, promptIds, parameterCounts } from './program/model.ts'
export type { PretrainedModel, TunedModel, MaskedParams, TunedFacts, MethodChoice } from './program/model.ts'
export { openClassifier, tuneClassifier, baseOf, classifierAdapter } from './program/model.ts'
export type { Classifier, ClassifierOptions, TrainedSession, TunedImages, TunedClassifier } from './program/model.ts'
export type { ResolvedModule } from './tune/modules/modules.ts'

// ── Training on texts and images, and continuing texts ──────────────────────────────────────────────────────────────
export { train, evaluateRows, generateText, StepFailed } from './train/finetune.ts'
export { trainOn, evaluateOn, textExamples, imageExamples } from './train/finetune.ts'
export type { Trainable, Evaluable, StepEvent, Evaluation, Generated } from './train/finetune.ts'
export type { Examples, ImageExamplesOptions, TrainOptions, Unit } from './train/finetune.ts'
export { microBatches } from './io/index.ts'
export type { BatchPlan, BatchLayout, MicroBatch } from './io/index.ts'

// ── Architectures ───────────────────────────────────────────────────────────────────────────────────────────────────
export { architectures, languageArchitectures, imageArchitectures, llama, llamaArchitecture } from './model/index.ts'
export { imageArchitecture, parseConfig, parameterSizes, causalLoss } from './model/index.ts'
export type { Architecture, ArchitectureFacts, Derived, GgufExtra, GgufNames, LeafKind } from './model/index.ts'
export type { Layout, StoredLeaf, ModelDescription, Models, Task } from './model/index.ts'
export type { CausalArchitecture, CausalConfig, CausalLM, CausalLayer, CausalParams } from './model/index.ts'
export type { CausalOutputs, CausalBatch, CheckpointConfig, RopeScaling } from './model/index.ts'
export type { LanguageArchitecture, LanguageBatch, LanguageModel, LanguageParams } from './model/index.ts'
export type {
  ImageArchitecture,
  SizedBatch,
  ImageBatch,
  ImageConfig,
  ImageMetric,
  ImageModel,
  ImageOutputs,
} from './model/index.ts'
export type { Json } from './text/index.ts'

/** Architectures: named shapes, pure functions of them, and their config files. */
export type { Architecture, ArchitectureFacts, Derived, LeafKind, StoredLeaf } from './architecture.ts'
export type { CausalArchitecture, GgufExtra, GgufNames } from './causal/architecture.ts'
export type { CheckpointConfig } from './causal/config.ts'
export type { CausalConfig, CausalLayer, CausalLM, CausalOutputs, CausalParams } from './causal/lm.ts'
export { causalLoss, type CausalBatch } from './causal/loss.ts'
export type { RopeScaling } from './causal/rope-scaling.ts'
export { imageArchitecture, type ImageArchitecture, type SizedBatch } from './images/architecture.ts'
export type { ImageBatch, ImageMetric, ImageOutputs } from './images/classifier.ts'
export { relabelled, type ImageConfig } from './images/config.ts'
export { fromStorage, inputsIn, leafSizes, storedSizes, toStorage, type Layout } from './layout.ts'
export { llama, llamaArchitecture } from './llama.ts'
export { reaches } from './reach.ts'
export {
  architectureNamed,
  architectureOf,
  architectures,
  described,
  imageArchitectures,
  isHead,
  languageArchitectures,
  parameterSizes,
  parseConfig,
  publishedModel,
  publishedNames,
  stateSizes,
  storedLeaf,
  tieOf,
  type ImageModel,
  type LanguageArchitecture,
  type LanguageBatch,
  type LanguageModel,
  type LanguageOutputs,
  type LanguageParams,
  type ModelDescription,
  type Models,
  type Task,
} from './registry.ts'

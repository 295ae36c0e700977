/** Architectures: named shapes, pure functions of them, and their config files. */
export type { Architecture, Derived, GgufExtra, GgufNames, LeafKind, StoredLeaf } from './architecture.ts'
export type { CausalArchitecture } from './causal/architecture.ts'
export type { CheckpointConfig } from './causal/config.ts'
export type { CausalConfig, CausalLayer, CausalLM, CausalParams } from './causal/lm.ts'
export { causalLoss, type CausalBatch } from './causal/loss.ts'
export type { RopeScaling } from './causal/rope-scaling.ts'
export { llama, llamaArchitecture } from './llama.ts'
export {
  architectureNamed,
  architectures,
  isHead,
  parameterSizes,
  parseConfig,
  storedLeaf,
  tieOf,
  type LanguageArchitecture,
  type LanguageBatch,
  type LanguageModel,
  type LanguageParams,
  type ModelDescription,
} from './registry.ts'

/** Architectures: named shapes, pure functions of them, and what their config files say. */
export { llama, causalLoss, type Llama, type LlamaBatch, type LlamaConfig, type LlamaParams } from './llama/llama.ts'
export { frequencies, type RopeScaling } from './llama/rope-scaling.ts'
export { llamaParameters, parseLlamaConfig, type CheckpointConfig } from './llama/config.ts'

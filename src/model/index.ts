export { llama, causalLoss, type Llama, type LlamaBatch, type LlamaConfig, type LlamaParams } from './llama.ts'
export { frequencies, type RopeScaling } from './rope-scaling.ts'

import type { Architecture } from '../architecture.ts'
import type { CheckpointConfig } from './config.ts'
import type { CausalParams } from './lm.ts'
import type { CausalBatch } from './loss.ts'

/** An architecture of causal language models. */
export type CausalArchitecture = Architecture<
  CheckpointConfig,
  CausalParams,
  CausalBatch,
  readonly ['batch', 'seq', 'vocab']
>

import type { Architecture } from '../architecture.ts'
import type { CheckpointConfig } from './config.ts'
import type { CausalOutputs, CausalParams } from './lm.ts'
import type { CausalBatch } from './loss.ts'

/** A tensor in a GGUF file that is not a parameter, but a part of the config. */
export interface GgufExtra<C> {
  readonly tensor: string
  /** The largest number of elements that it may have. */
  readonly length: (config: C) => number
  /** The config with the tensor's facts; `undefined` for a tensor that is not recognized. */
  readonly config: (numbers: Float32Array, config: C) => C | undefined
  /** The end of the message for a tensor that is not recognized. */
  readonly expected: string
}

/** An architecture in a GGUF file, in llama.cpp's words. */
export interface GgufNames<C> {
  /** The paths of leaves of a layer, from {@link CausalArchitecture.layers} and its number on, by their names. */
  readonly blocks: Readonly<Record<string, string>>
  /** The paths of all other leaves. */
  readonly outer: Readonly<Record<string, string>>
  /** The fields of a config by the keys that hold them; `*` stands for the name of the architecture. */
  readonly keys: Readonly<Record<string, string>>
  /** The number of heads if llama.cpp has reordered the rows of a leaf, each head's own; otherwise 0. */
  readonly reordered: (path: string, config: C) => number
  /** A tensor with facts about the config in addition to the keys, if files of the architecture may have one. */
  readonly extra?: GgufExtra<C>
}

/** An architecture of causal language models, whose head a config may tie to the embedding. */
export interface CausalArchitecture extends Architecture<CheckpointConfig, CausalParams, CausalBatch, CausalOutputs> {
  /** The path of the embedding. */
  readonly embedding: string
  /** The path of the list of layers. */
  readonly layers: string
  /** `undefined` if the architecture is not read from GGUF files. */
  readonly gguf?: GgufNames<CheckpointConfig>
}

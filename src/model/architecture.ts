import type { IoError, Json } from '../text/index.ts'
import type { Model, Shape } from '../tensor/index.ts'
import type * as E from 'fp-ts/lib/Either.js'

/**
 * The kinds of parameters: a lookup table of tokens, a matrix that is applied to features (`head` makes logits, and
 * `all-linear` leaves it out), the gain of a norm, and the bias of a linear map.
 */
export type LeafKind = 'embedding' | 'linear' | 'head' | 'norm' | 'bias'

/** The place of a leaf in a checkpoint. */
export interface StoredLeaf {
  readonly kind: LeafKind
  /** The name of the tensor. */
  readonly name: string
  /**
   * True if a checkpoint keeps `[out, in]`, as PyTorch does, and the tree `[in, out]`, so that a column of the PaCA
   * paper's W is a row of storage.
   */
  readonly transposed: boolean
}

/** Numbers that a checkpoint may repeat although they follow from its config, and the words for what they are. */
export interface Derived {
  readonly values: readonly number[]
  readonly what: string
}

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
  /** The paths of leaves of a layer, from {@link Architecture.layers} and the number of the layer on, by their names. */
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

/**
 * An architecture: everything that the rest of the program needs to know about a kind of model. A new one is a file
 * with such a record, and a line in `registry.ts`.
 */
export interface Architecture<C, P, B, L extends Shape> {
  /** `model_type` in a config.json, and `general.architecture` in a GGUF file. */
  readonly name: string
  /** Its class in transformers, which `architectures` of a config.json names. */
  readonly className: string
  /**
   * Reads a config.json, fills in the defaults of transformers, and refuses fields that would change what {@link model}
   * computes. `file` and `named` (the name of a field there) are used in messages. Errors name file and field.
   */
  readonly config: (json: Json, file: string, named?: (field: string) => string) => E.Either<IoError, C>
  /** A config.json for a config that came without one. */
  readonly json: (config: C) => Json
  /** The model of a config: its parameters with their dims, and the functions of them. */
  readonly model: (config: C) => Model<P, B, L>
  /** The place of a leaf in a checkpoint, and its kind. */
  readonly stored: (path: string) => StoredLeaf
  /** The path of the embedding, which a config may tie to the head. */
  readonly embedding: string
  /** The path of the output head. */
  readonly head: string
  /** The path of the list of layers. */
  readonly layers: string
  /** The modules that a method adapts unless others are named. */
  readonly targets: readonly string[]
  /**
   * The expected numbers of a tensor that is not a parameter but may be in a file, by its name; `undefined` for any
   * other.
   */
  readonly derived: (name: string, config: C) => Derived | undefined
  /** `undefined` if the architecture is not read from GGUF files. */
  readonly gguf?: GgufNames<C>
}

import type { IoError, Json } from '../text/index.ts'
import type { Model } from '../tensor/index.ts'
import type * as E from '../either/index.ts'
import type { Layout } from './layout.ts'

/**
 * The kinds of leaves: a lookup table of vectors, such as those of tokens or of positions, a matrix that is applied to
 * features (`head` makes logits, and `all-linear` leaves it out), the kernel of a convolution, the gain of a norm, the
 * bias of any of them, and a running statistic, which is a buffer.
 */
export type LeafKind = 'embedding' | 'linear' | 'head' | 'convolution' | 'norm' | 'bias' | 'statistic'

/** The place of a leaf in a checkpoint. */
export interface StoredLeaf {
  readonly kind: LeafKind
  /** The name of the tensor, under which it is saved. */
  readonly name: string
  /** Other names under which checkpoints may have it. */
  readonly alias?: string
  /** The order of its axes there. */
  readonly layout: Layout
}

/** Numbers that a checkpoint may repeat although they follow from its config, and the words for what they are. */
export interface Derived {
  /** Absent if they may be any. */
  readonly values?: readonly number[]
  readonly what: string
}

/** The facts about an architecture that are the same for all configs. */
export interface ArchitectureFacts {
  /** `model_type` in a config.json, and `general.architecture` in a GGUF file. */
  readonly name: string
  /** Its class in transformers, which `architectures` of a config.json names. */
  readonly className: string
  /** The words that the paths of its leaves begin with, such as `model` and `lm_head`. */
  readonly roots: readonly string[]
  /** The place of a leaf in a checkpoint, and its kind, from its path or that of its module; the kind also of a target. */
  readonly stored: (path: string) => StoredLeaf
  /** The path of the module that makes the logits. */
  readonly head: string
  /** The modules that a method adapts unless others are named. */
  readonly targets: readonly string[]
  /** The modules that are trained whole beside them, such as the head of a classifier; none if absent. */
  readonly modulesToSave?: readonly string[]
  /** `task_type` in PEFT's configs; absent if PEFT has no name for the task. */
  readonly peftTask?: string
}

/**
 * An architecture: everything that the rest of the program needs to know about a kind of model. A new one is a file
 * with such a record, and a line in `registry.ts`.
 */
export interface Architecture<C, P, B, O, K extends string = never, U = undefined> extends ArchitectureFacts {
  /**
   * Reads a config.json, fills in the defaults of transformers, and refuses fields that would change what {@link model}
   * computes. `file` and `named` (the name of a field there) are used in messages. Errors name file and field.
   */
  readonly config: (json: Json, file: string, named?: (field: string) => string) => E.Either<IoError, C>
  /** The config.json files of published models, by the names under which their shapes alone are opened. */
  readonly published?: Readonly<Record<string, Json>>
  /** A config.json for a config that came without one, or was changed. */
  readonly json: (config: C) => Json
  /** The model of a config: its parameters and buffers with their dims, and the functions of them. */
  readonly model: (config: C) => Model<P, B, O, K, U>
  /**
   * The expected numbers of a tensor that is not a parameter but may be in a file, by its name; `undefined` for any
   * other.
   */
  readonly derived: (name: string, config: C) => Derived | undefined
}

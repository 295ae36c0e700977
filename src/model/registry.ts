import * as E from 'fp-ts/lib/Either.js'
import { fail, shown, type IoError, type Json } from '../text/index.ts'
import { bind, type Dim, type Model, type Shape } from '../tensor/index.ts'
import { tensorsOf } from '../tune/index.ts'
import type { StoredLeaf } from './architecture.ts'
import type { CausalArchitecture } from './causal/architecture.ts'
import type { CheckpointConfig } from './causal/config.ts'
import { llamaArchitecture } from './llama.ts'
import { qwen2Architecture } from './qwen2.ts'
import { qwen3Architecture } from './qwen3.ts'

/** An architecture of language models. */
export type LanguageArchitecture = CausalArchitecture
/** A language model, whatever its architecture. */
export type LanguageModel = ReturnType<LanguageArchitecture['model']>
export type LanguageParams = LanguageModel['params']
export type LanguageBatch = LanguageModel['batch']

/** All architectures, one per line. */
export const architectures: readonly LanguageArchitecture[] = [llamaArchitecture, qwen2Architecture, qwen3Architecture]

/** An architecture and a config of it. */
export interface ModelDescription {
  readonly architecture: LanguageArchitecture
  readonly config: CheckpointConfig
}

/** The names in a list, as text. @example listed(['a', 'b', 'c']) // '"a", "b" and "c" are' */
const supported = (names: readonly string[]): string => {
  const quoted = names.map(name => JSON.stringify(name))
  const last = quoted.pop()!
  return quoted.length === 0 ? `${last} is` : `${quoted.join(', ')} and ${last} are`
}

/**
 * The architecture that a file names. Errors: an architecture that is not supported.
 * @example architectureNamed('llama', 'config.json', 'model_type')
 */
export const architectureNamed = (
  name: unknown,
  file: string,
  field: string,
): E.Either<IoError, LanguageArchitecture> => {
  const found = architectures.find(architecture => architecture.name === name)
  const names = architectures.map(architecture => architecture.name)
  return found ? E.right(found) : fail(`${file}: ${field} is ${shown(name)}; only ${supported(names)} supported`)
}

/**
 * Reads a config.json. Errors: those of the architecture in its `model_type`; an architecture that is not supported.
 * @example parseConfig(json, 'config.json')
 */
export const parseConfig = (json: Json, file: string): E.Either<IoError, ModelDescription> =>
  E.flatMap(architectureNamed(json['model_type'], file, 'model_type'), architecture =>
    E.Functor.map(architecture.config(json, file), config => ({ architecture, config })),
  )

/**
 * The parameters of a model by path, with the sizes that its dims give them.
 * @example parameterSizes(llama(config))[0] // ['model.embed_tokens', [49152, 576]]
 */
export const parameterSizes = <P, B, L extends Shape>({
  params,
  dims = {},
}: Model<P, B, L>): readonly (readonly [path: string, sizes: readonly number[]])[] => {
  const size = bind(dims)
  const sizeOf = (dim: Dim): number =>
    E.getOrElse((message: string): number => {
      throw new RangeError(message)
    })(size(dim))
  return tensorsOf(params).map(([path, { shape }]) => [path, shape.map(sizeOf)])
}

/**
 * The place of a leaf in a checkpoint, if the model is not known, as for an adapter: a path has the same meaning in
 * every architecture.
 * @example storedLeaf('model.norm') // { kind: 'norm', name: 'model.norm.weight', transposed: false }
 */
export const storedLeaf = (path: string): StoredLeaf => architectures[0]!.stored(path)

/** Tests for the path of an output head. @example isHead('lm_head') // true */
export const isHead = (path: string): boolean => storedLeaf(path).kind === 'head'

/**
 * The embedding and the head that a config may tie, for a path that is one of them; `undefined` for another path.
 * @example tieOf('lm_head') // { embedding: 'model.embed_tokens', head: 'lm_head' }
 */
export const tieOf = (path: string): Pick<LanguageArchitecture, 'embedding' | 'head'> | undefined =>
  architectures.find(({ embedding, head }) => path === embedding || path === head)

import * as E from '../either/index.ts'
import { fail, shown, type IoError, type Json } from '../text/index.ts'
import { bind, type Dim, type Model } from '../tensor/index.ts'
import { tensorsOf } from '../tune/index.ts'
import type { Architecture, ArchitectureFacts, StoredLeaf } from './architecture.ts'
import type { CausalArchitecture } from './causal/architecture.ts'
import type { CheckpointConfig } from './causal/config.ts'
import type { ImageArchitecture } from './images/architecture.ts'
import type { ImageConfig } from './images/config.ts'
import { efficientNetArchitectures } from './efficientnet/architecture.ts'
import { llamaArchitecture } from './llama.ts'
import { qwen2Architecture } from './qwen2.ts'
import { qwen3Architecture } from './qwen3.ts'
import { vitArchitecture } from './vit/index.ts'

/** An architecture of language models. */
export type LanguageArchitecture = CausalArchitecture
/** A language model, whatever its architecture. */
export type LanguageModel = ReturnType<LanguageArchitecture['model']>
export type LanguageParams = LanguageModel['params']
export type LanguageBatch = LanguageModel['batch']
export type LanguageOutputs = ReturnType<LanguageModel['forward']>
/** An image classifier, whatever its architecture. */
export type ImageModel = ReturnType<ImageArchitecture['model']>

/** All architectures of language models, one per line. */
export const languageArchitectures: readonly LanguageArchitecture[] = [
  llamaArchitecture,
  qwen2Architecture,
  qwen3Architecture,
]
/** All architectures of image classifiers, one per line. */
export const imageArchitectures: readonly ImageArchitecture[] = [vitArchitecture, ...efficientNetArchitectures]

/** All architectures. */
export const architectures: readonly (LanguageArchitecture | ImageArchitecture)[] = [
  ...languageArchitectures,
  ...imageArchitectures,
]

/** The models of each task. */
export interface Models {
  readonly text: LanguageModel
  readonly images: ImageModel
}
/** The purpose of a model: to continue texts, or to classify images. */
export type Task = keyof Models

interface LanguageDescription {
  readonly task: 'text'
  readonly architecture: LanguageArchitecture
  readonly config: CheckpointConfig
}
interface ImageDescription {
  readonly task: 'images'
  readonly architecture: ImageArchitecture
  readonly config: ImageConfig
}
/** An architecture and a config of it. */
export type ModelDescription<T extends Task = Task> = Extract<
  LanguageDescription | ImageDescription,
  { readonly task: T }
>

/** The functions of a config, applied to it. */
const applied = <C, P, B, O, K extends string, U>(architecture: Architecture<C, P, B, O, K, U>, config: C) => ({
  model: () => architecture.model(config),
  json: () => architecture.json(config),
  derived: (name: string) => architecture.derived(name, config),
})
/**
 * The model, the config.json and the derived numbers of a description, whatever its task.
 * @example parameterSizes(described(checkpoint).model())
 */
export const described = (of: ModelDescription) =>
  of.task === 'text' ? applied(of.architecture, of.config) : applied(of.architecture, of.config)

/** The names in a list, as text. @example supported(['a', 'b', 'c']) // '"a", "b" and "c" are' */
const supported = (names: readonly string[]): string => {
  const quoted = names.map(name => JSON.stringify(name))
  const last = quoted.pop()!
  return quoted.length === 0 ? `${last} is` : `${quoted.join(', ')} and ${last} are`
}

const unsupported = (
  among: readonly ArchitectureFacts[],
  name: unknown,
  file: string,
  field: string,
): E.Either<IoError, never> => {
  const names = among.map(architecture => architecture.name)
  return fail(`${file}: ${field} is ${shown(name)}; only ${supported(names)} supported`)
}
/** The architecture with a name. Errors: an architecture that is not supported. */
const named = <A extends ArchitectureFacts>(
  among: readonly A[],
  name: unknown,
  file: string,
  field: string,
): E.Either<IoError, A> => {
  const found = among.find(architecture => architecture.name === name)
  return found ? E.right(found) : unsupported(among, name, file, field)
}

/**
 * The architecture of language models that a file names. Errors: an architecture that is not supported.
 * @example architectureNamed('llama', 'config.json', 'model_type')
 */
export const architectureNamed = (
  name: unknown,
  file: string,
  field: string,
): E.Either<IoError, LanguageArchitecture> => named(languageArchitectures, name, file, field)

/**
 * Reads a config.json. Errors: those of the architecture in its `model_type`; an architecture that is not supported.
 * @example parseConfig(json, 'config.json')
 */
export const parseConfig = (json: Json, file: string): E.Either<IoError, ModelDescription> => {
  // timm calls it the architecture
  const name = json['model_type'] ?? json['architecture']
  const images = imageArchitectures.find(architecture => architecture.name === name)
  if (images !== undefined) return describedAs(images, json, file)
  const text = languageArchitectures.find(architecture => architecture.name === name)
  if (text !== undefined) return describedAsText(text, json, file)
  return unsupported(architectures, name, file, 'model_type')
}

const describedAs = (architecture: ImageArchitecture, json: Json, file: string): E.Either<IoError, ModelDescription> =>
  E.map(architecture.config(json, file), config => ({ task: 'images', architecture, config }))
const describedAsText = (
  architecture: LanguageArchitecture,
  json: Json,
  file: string,
): E.Either<IoError, ModelDescription> =>
  E.map(architecture.config(json, file), config => ({ task: 'text', architecture, config }))

/** The published models by name, each with the reader of its config. */
const published: ReadonlyMap<string, () => E.Either<IoError, ModelDescription>> = new Map([
  ...languageArchitectures.flatMap(architecture =>
    Object.entries(architecture.published ?? {}).map(
      ([name, json]) => [name, () => describedAsText(architecture, json, name)] as const,
    ),
  ),
  ...imageArchitectures.flatMap(architecture =>
    Object.entries(architecture.published ?? {}).map(
      ([name, json]) => [name, () => describedAs(architecture, json, name)] as const,
    ),
  ),
])

/** The names of published models, whose shapes alone are opened by name. */
export const publishedNames: readonly string[] = [...published.keys()]

/**
 * The architecture and the config of a published model. Errors: a name that no architecture states.
 * @example publishedModel('llama3-8b')
 */
export const publishedModel = (name: string): E.Either<IoError, ModelDescription> =>
  published.get(name)?.() ??
  fail(`${name}: no such file or directory, and no model of this name: there are ${publishedNames.join(', ')}`)

/**
 * The parameters of a model by path, with the sizes that its dims give them.
 * @example parameterSizes(llama(config))[0] // ['model.embed_tokens', [49152, 576]]
 */
export const parameterSizes = <P, B, O, K extends string, U>({
  params,
  dims = {},
}: Model<P, B, O, K, U>): readonly (readonly [path: string, sizes: readonly number[]])[] => sizesIn(params, dims)

/**
 * The leaves that a checkpoint has: the parameters of a model and its buffers, by path.
 * @example stateSizes(described(checkpoint).model())
 */
export const stateSizes = ({
  params,
  buffers,
  dims = {},
}: Pick<ImageModel, 'params' | 'buffers' | 'dims'>): readonly (readonly [path: string, sizes: readonly number[]])[] => [
  ...sizesIn(params, dims),
  ...sizesIn(buffers, dims),
]

const sizesIn = (
  tree: unknown,
  dims: Readonly<Record<string, number>>,
): readonly (readonly [path: string, sizes: readonly number[]])[] => {
  const size = bind(dims)
  const sizeOf = (dim: Dim): number =>
    E.getOrElse((message: string): number => {
      throw new RangeError(message)
    })(size(dim))
  return tensorsOf(tree).map(([path, { shape }]) => [path, shape.map(sizeOf)])
}

/**
 * The place of a leaf in a checkpoint, if the model is not known, as for an adapter: a path has the same meaning in
 * every architecture whose root it begins with.
 * @example storedLeaf('model.norm') // { kind: 'norm', name: 'model.norm.weight', layout: 'same' }
 */
export const storedLeaf = (path: string): StoredLeaf => architectureOf(path).stored(path)

/**
 * The first architecture with a root that a path begins with, the longest such, or the first of all.
 * @example architectureOf('lm_head').name // 'llama'
 */
export const architectureOf = (path: string): ArchitectureFacts => {
  const begins = (root: string): boolean => path === root || path.startsWith(`${root}.`)
  // of two roots the longer one says more: classifier.1 is no classifier
  const lengthIn = ({ roots }: ArchitectureFacts): number =>
    Math.max(-1, ...roots.filter(begins).map(({ length }) => length))
  return architectures.reduce<ArchitectureFacts>((a, b) => (lengthIn(b) > lengthIn(a) ? b : a), architectures[0]!)
}

/** Tests for the path of an output head. @example isHead('lm_head') // true */
export const isHead = (path: string): boolean => storedLeaf(path).kind === 'head'

/**
 * The embedding and the head that a config may tie, for a path that is one of them; `undefined` for another path.
 * @example tieOf('lm_head') // { embedding: 'model.embed_tokens', head: 'lm_head' }
 */
export const tieOf = (path: string): Pick<LanguageArchitecture, 'embedding' | 'head'> | undefined =>
  languageArchitectures.find(({ embedding, head }) => path === embedding || path === head)

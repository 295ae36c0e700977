import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { inputGroups } from '../compile/index.ts'
import { fail, type IoError } from '../text/index.ts'
import type { Checkpoint, Loaded } from '../io/index.ts'
import {
  adapt,
  full,
  inputBlocks,
  leafName,
  isTarget,
  moduleOf,
  nf4,
  quantized,
  alsoTraining,
  recordOf,
  startingFrom,
  tensorsOf,
  UnknownTarget,
  type Method,
  type MethodArguments,
  type Dynamic,
  type FirstValue,
  type Opaque,
  type TunedModule,
  type Tuned,
} from '../tune/index.ts'
import { resolveSaved, resolveTargets, type ResolvedModule } from '../tune/modules/modules.ts'
import {
  inputsIn,
  isHead,
  leafSizes,
  reaches,
  type ImageModel,
  type LanguageBatch,
  type LanguageOutputs,
  type LanguageParams,
  type StoredLeaf,
  type Task,
} from '../model/index.ts'
import type { Model } from '../tensor/index.ts'
import type { MethodOptions } from './method.ts'

/** A tuned model whose targets are only known at run time: the tree and its focus are opaque. */
export type TunedModel = Tuned<LanguageParams, unknown, Dynamic, LanguageBatch, LanguageOutputs>
/** The same for an image classifier. */
export type TunedClassifier = TunedOf<ImageModel>
type TunedOf<M> =
  M extends Model<infer P, infer B, infer O, infer K, infer U> ? Tuned<P, unknown, Dynamic, B, O, K, U> : never
/** The tuned models of each task. */
export interface TunedModels {
  readonly text: TunedModel
  readonly images: TunedClassifier
}

export type Opened<T extends Task = Task> = T extends Task ? Pick<Loaded<T>, 'model' | 'checkpoint'> : never

/** A model of any task: its parameters, batches and outputs are opaque. */
export type AnyModel = Model<unknown, unknown, unknown, string, unknown>
/** A tuned model of any task: its parameters, batches and outputs are opaque. */
export type AnyTuned = Tuned<unknown, unknown, Dynamic, unknown, unknown, string, unknown>

/** The targets of tuning: modules with their ranks, and leaves that are trained whole in addition. */
export interface Targets {
  readonly modules: readonly ResolvedModule[]
  readonly whole: readonly string[]
}

/** Initial values of a run that are not the method's own choice. */
export interface Beginning {
  /** The columns of PaCA, or the entries of SHiRA, by module path. */
  readonly chosen?: ReadonlyMap<string, Int32Array>
  /** First values of leaves that the method adds, by their path in the tuned tree. */
  readonly values?: ReadonlyMap<string, FirstValue>
  /** Options that are derived from an adapter. */
  readonly again?: Partial<MethodArguments>
}

/** The sizes of a leaf in a checkpoint. */
export const sizesOf = ({ architecture, tensors }: Checkpoint, path: string): readonly number[] =>
  tensors.get(architecture.stored(path).name)?.sizes ?? []

/** The leaves of some kind. */
const leavesOf = (
  { model, checkpoint: { architecture } }: Opened,
  isMeant: (leaf: StoredLeaf) => boolean,
): readonly string[] =>
  tensorsOf(model.params).flatMap(([path]) => (isMeant(architecture.stored(path)) ? [moduleOf(path)] : []))

/** The number of columns of a module: its input features, or the input channels of a convolution. */
export const widthOf = ({ architecture, tensors }: Checkpoint, path: string): number => {
  const { name, layout } = architecture.stored(path)
  return leafSizes(layout, tensors.get(name)?.sizes ?? [])?.[inputsIn(layout)] ?? 1
}
const heightOf = (checkpoint: Checkpoint, path: string): number => sizesOf(checkpoint, path)[0] ?? 1

/** The modules that are matrices applied to features: `all-linear` means these. */
const linearModules = (loaded: Opened): readonly string[] => leavesOf(loaded, reaches.linear.has)

/** The modules with the sizes of their weights. */
export const sized = (checkpoint: Checkpoint, modules: readonly ResolvedModule[]): readonly TunedModule[] =>
  modules.map(({ path, rank }) => ({ path, rank, in: widthOf(checkpoint, path), out: heightOf(checkpoint, path) }))

const checkRanks = (
  checkpoint: Checkpoint,
  { method }: MethodOptions,
  modules: readonly ResolvedModule[],
): E.Either<IoError, readonly ResolvedModule[]> => {
  const narrow =
    recordOf(method).rank?.counts === 'inputs'
      ? sized(checkpoint, modules).find(module => module.rank > module.in)
      : undefined
  return narrow === undefined
    ? E.right(modules)
    : fail(
        `rank ${narrow.rank} is above the width of ${narrow.path}, which has ${narrow.in} ` +
          (checkpoint.architecture.stored(narrow.path).kind === 'convolution' ? 'input channels' : 'columns'),
      )
}

/** The reason why a head that the model ties to its embedding cannot be tuned by its name, if that is requested. */
const tiedHeadAsked = (
  { checkpoint }: Opened,
  { targetModules, modulesToSave = [] }: MethodOptions,
): string | undefined => {
  if (checkpoint.task !== 'text') return undefined
  const { architecture, config } = checkpoint
  const names = [...(typeof targetModules === 'string' ? [] : targetModules), ...modulesToSave]
  const [head, embedding] = [leafName(architecture.head), leafName(architecture.embedding)]
  return config.tie_word_embeddings && names.includes(head)
    ? `${head} is tied to ${embedding} in this model: --modules-to-save ${embedding} trains both as one`
    : undefined
}

/** The biases that `--bias` trains in addition to a method: all, or those of the modules that it adapts. */
const biasesBeside = (
  loaded: Opened,
  { bias = 'none' }: MethodOptions,
  modules: readonly ResolvedModule[],
): readonly string[] => {
  const adapted = new Set(modules.map(({ path }) => `${path}.bias`))
  return bias === 'none' ? [] : leavesOf(loaded, reaches.bias.has).filter(path => bias === 'all' || adapted.has(path))
}

/** Refuses a module by its name that the model has and the method cannot tune. */
const checkReach = (
  loaded: Opened,
  { method, targetModules }: MethodOptions,
  paths: readonly string[],
): E.Either<IoError, void> => {
  const all = tensorsOf(loaded.model.params).map(([path]) => path)
  const names = typeof targetModules === 'string' ? [] : targetModules
  const beyond = names.find(name => all.some(path => isTarget(path, name)) && !paths.some(path => isTarget(path, name)))
  return beyond === undefined
    ? E.right(undefined)
    : fail(`--method ${method} adapts ${reaches[recordOf(method).reach].words}, and ${beyond} is none of these`)
}

/**
 * The modules that a method should tune, from the header alone. `all` means every parameter, for full fine-tuning.
 * Errors: a name that no module has, a rank above a module's width, and others of `resolveTargets`.
 * @example targetsOf(loaded, { method: 'paca', targetModules: 'all-linear', rank: 8, seed: 0 })
 */
export const targetsOf = (loaded: Opened, options: MethodOptions): E.Either<IoError, Targets> => {
  const { method, targetModules, rank } = options
  const { reach } = recordOf(method)
  const { has, words } = reaches[reach]
  const paths = leavesOf(loaded, has)
  if (paths.length === 0) return fail(`--method ${method} trains ${words}, and this model has none`)
  const besides = (modules: readonly ResolvedModule[]): E.Either<IoError, Targets> =>
    pipe(
      resolveSaved(
        options,
        tensorsOf(loaded.model.params).map(([path]) => path),
      ),
      E.map(saved => {
        const tuned = new Set(modules.map(({ path }) => path))
        const whole = new Set([...saved, ...biasesBeside(loaded, options, modules)])
        return { modules, whole: [...whole].filter(path => !tuned.has(moduleOf(path))) }
      }),
    )
  const everything = targetModules === 'all' || (typeof targetModules !== 'string' && targetModules.includes('all'))
  const inWhole = reach === 'every' || reach === 'norm' || reach === 'bias'
  if (inWhole && everything) return besides(paths.map(path => ({ path, rank, alpha: rank })))
  const apart = tiedHeadAsked(loaded, options)
  if (apart !== undefined) return fail(apart)
  const named = typeof targetModules !== 'string' || targetModules.toLowerCase() !== 'all-linear'
  return pipe(
    checkReach(loaded, options, paths),
    // only names reach further than all linear modules
    E.flatMap(() =>
      resolveTargets(options, named || reach === 'norm' || reach === 'bias' ? paths : linearModules(loaded), isHead),
    ),
    E.flatMap(modules => checkRanks(loaded.checkpoint, options, modules)),
    E.flatMap(besides),
  )
}

/** Tests whether the modules of a group can share a given selection: it must be the same for all. */
const alikeIn =
  (chosen: ReadonlyMap<string, Int32Array> | undefined) =>
  (group: readonly string[]): boolean =>
    chosen === undefined || new Set(group.flatMap(path => chosen.get(path)?.join() ?? [])).size <= 1

/** The method with all its options, whose targets are only known at run time. */
const madeMethod = (
  { model }: Opened,
  options: MethodOptions,
  { modules }: Targets,
  { chosen, again }: Beginning,
): Method<Opaque> => {
  const { method, rank, seed, rslora, dropout, initial, shareColumns } = options
  return recordOf(method).make({
    targets: modules.map(({ path }) => path),
    rank,
    seed,
    ranks: new Map(modules.map(module => [module.path, module.rank])),
    alphas: new Map(modules.map(({ path, alpha }) => [path, alpha])),
    blocks: inputBlocks(model),
    ...(rslora === undefined ? {} : { rslora }),
    ...(dropout === undefined ? {} : { dropout }),
    ...(initial === undefined ? {} : { initial }),
    ...(chosen ? { selection: chosen } : {}),
    // only names and inputs are read, which every model has
    ...(shareColumns ? { groups: inputGroups(anyModel({ model })).filter(alikeIn(chosen)) } : {}),
    ...again,
  })
}

/** The modules to quantize: not the head of a language model, and not those that are trained whole. */
const quantizedModules = (loaded: Opened, { whole }: Targets): readonly string[] =>
  leavesOf(loaded, ({ kind }) => kind === 'linear').filter(path => !whole.includes(path))

/** A method that trains nothing on a packed model. */
export const packedModel = (loaded: Opened, { double }: { readonly double: boolean }): Method<Opaque> =>
  quantized(nf4({ double }), { modules: quantizedModules(loaded, { modules: [], whole: [] }) })(
    full({ targets: [] as readonly string[] }),
  )

/**
 * Applies a method to a loaded model; everything is checked against the checkpoint's header, before any weight is read.
 * Errors: those of {@link targetsOf}; modules that a method cannot adapt.
 * @example tuneModel(loaded, { method: 'paca', targetModules: 'all-linear', rank: 8, seed: 0 })
 */
export const tuneModel = <T extends Task>(
  loaded: Opened<T>,
  options: MethodOptions,
  beginning: Beginning = {},
  targets?: Targets,
): E.Either<IoError, TunedModels[T]> =>
  pipe(
    targets ? E.right(targets) : targetsOf(loaded, options),
    E.flatMap((found): E.Either<IoError, TunedModels[T]> => {
      const method = madeMethod(loaded, options, found, beginning)
      const { quantize } = options
      if (quantize && quantizedModules(loaded, found).length === 0)
        return fail('--quantize packs linear modules, and the model has none beside its head')
      const whole = found.whole.length > 0 ? alsoTraining(found.whole)(method) : method
      try {
        const held = quantize
          ? quantized(nf4({ double: quantize.double }), { modules: quantizedModules(loaded, found) })(whole)
          : whole
        const { model } = loaded as Pick<Loaded<'images'>, 'model'>
        // the model is that of the task; only its method is decided here
        return E.right(adapt(model, beginning.values ? startingFrom(beginning.values)(held) : held) as TunedModels[T])
      } catch (error) {
        if (error instanceof UnknownTarget) return fail(error.message)
        throw error
      }
    }),
  )

/** The model of any task, where nobody looks into its parameters, batches and outputs. */
export const anyModel = ({ model }: { readonly model: Opened['model'] }): AnyModel => model as unknown as AnyModel

/**
 * The same as {@link tuneModel} for a model of any task, where nobody looks into its parameters, batches and outputs.
 * @example const tuned = await orThrow(async () => tuneAny(source, options, beginning, targets))
 */
export const tuneAny = (
  loaded: Opened,
  options: MethodOptions,
  beginning?: Beginning,
  targets?: Targets,
): E.Either<IoError, AnyTuned> =>
  // its types are those of the loaded model, which its weights and its data come from too
  tuneModel(loaded as Opened<'images'>, options, beginning, targets) as E.Either<IoError, unknown> as E.Either<
    IoError,
    AnyTuned
  >

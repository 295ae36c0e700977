import * as E from 'fp-ts/lib/Either.js'
import * as RA from 'fp-ts/lib/ReadonlyArray.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fail, ioError, isIoError, isTransposed, openSafetensors, parameterName, type Checkpoint, type IoError, type Loaded } from '../io/index.ts'
import type { LlamaBatch, LlamaParams } from '../model/index.ts'
import { count } from '../tensor/index.ts'
import {
  adamw, adapt, chain, clipByGlobalNorm, full, identity, leafName, maskedLeaves, paca, tensorsOf, type Dynamic, type LearningRate, type Tuned,
} from '../tune/index.ts'

/** The projections of a LLaMA layer: what is tuned unless other modules are named. */
export const projections: readonly string[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']

/** A LLaMA with targets that only the run knows: its focus is opaque. */
export type TunedLlama = Tuned<LlamaParams, LlamaParams, Dynamic, LlamaBatch, readonly ['batch', 'seq', 'vocab']>

/** How a model is fine-tuned. Module names are the last words of Hugging Face's paths; `all` is every parameter (of `full`). */
export type MethodOptions =
  | { readonly method: 'full'; readonly targetModules: readonly string[] }
  | {
    readonly method: 'paca'; readonly targetModules: readonly string[]; readonly rank: number; readonly seed: number
    /** A selection of one's own, by module path. */
    readonly columns?: ReadonlyMap<string, Int32Array> | undefined
  }

/** A method as it is asked for on the command line. */
export interface MethodChoice {
  readonly method: 'paca' | 'full'
  readonly targetModules: readonly string[]
  readonly rank?: number | undefined
  readonly seed: number
}

const defaultRank = 8

/** Checks that a method gets what it takes. @example methodOptions({ method: 'paca', targetModules: projections, seed: 0 }) */
export const methodOptions = ({ method, targetModules, rank, seed }: MethodChoice): E.Either<IoError, MethodOptions> => {
  if (method === 'paca') return E.right({ method, targetModules, rank: rank ?? defaultRank, seed })
  return rank === undefined ? E.right({ method, targetModules }) : fail('--method full trains whole weights: it takes no --rank')
}

const sizesOf = (checkpoint: Checkpoint, path: string): readonly number[] => checkpoint.tensors.get(parameterName(path))?.sizes ?? []

/** Modules by path that a method can tune: all of them, or those that are matrices applied to features. */
const tunable = ({ model, checkpoint }: Pick<Loaded, 'model' | 'checkpoint'>, method: MethodOptions['method']): readonly string[] => {
  const paths = tensorsOf(model.params).map(([path]) => path)
  return method === 'full' ? paths : paths.filter(path => isTransposed(path) && sizesOf(checkpoint, path).length === 2)
}

/**
 * The modules that targets name, by path, with how many columns (input features) each has.
 * Errors: a name that no module has; the sentence lists those there are.
 * @example targetWidths(loaded, 'paca', ['q_proj'])
 */
export const targetWidths = (
  loaded: Pick<Loaded, 'model' | 'checkpoint'>, method: MethodOptions['method'], targets: readonly string[]):
E.Either<IoError, ReadonlyMap<string, number>> => {
  const paths = tunable(loaded, method), names = new Set([...paths.map(leafName), ...(method === 'full' ? ['all'] : [])])
  const unknown = targets.find(target => !names.has(target))
  if (unknown !== undefined) return fail(`no module for ${method} is called "${unknown}": there are ${[...names].join(', ')}`)
  const chosen = targets.includes('all') ? paths : paths.filter(path => targets.includes(leafName(path)))
  return E.right(new Map(chosen.map(path => [path, sizesOf(loaded.checkpoint, path)[1] ?? 1])))
}

/**
 * Applies a method to a loaded model; everything is checked against the checkpoint's header, before any weight is read.
 * Errors: an unknown module, a rank above a module's width.
 * @example tuneLlama(loaded, { method: 'paca', targetModules: projections, rank: 8, seed: 0 })
 */
export const tuneLlama = (loaded: Pick<Loaded, 'model' | 'checkpoint'>, options: MethodOptions): E.Either<IoError, TunedLlama> => pipe(
  targetWidths(loaded, options.method, options.targetModules),
  E.flatMap((widths): E.Either<IoError, TunedLlama> => {
    const { model } = loaded, targets: readonly string[] = options.targetModules
    if (options.method === 'full') return E.right(adapt(model, full({ targets })))
    const narrow = [...widths].find(([, width]) => width < options.rank)
    if (narrow) return fail(`rank ${options.rank} is above the width of ${narrow[0]}, which has ${narrow[1]} columns`)
    const { rank, seed, columns } = options
    return E.right(adapt(model, paca({ targets, rank, seed, ...(columns ? { columns } : {}) })))
  }))

/** The number of trained and of all parameters. @example parameterCounts(tuned, checkpoint) // { trainable: 610_560, all: 134_515_008 } */
export const parameterCounts = (tuned: TunedLlama, checkpoint: Checkpoint): { readonly trainable: number; readonly all: number } => {
  const counts = maskedLeaves(tuned.params, tuned.mask).map(({ path, mask }) => {
    const sizes = sizesOf(checkpoint, path), all = count(sizes)
    // the rank of a mask whose targets the run names is a number
    const trainable = mask.mask === 'frozen' ? 0 : mask.mask === 'columns' ? Number(mask.index.shape[0]) * sizes[0]! : all
    return { trainable, all }
  })
  return { trainable: counts.reduce((n, c) => n + c.trainable, 0), all: counts.reduce((n, c) => n + c.all, 0) }
}

const checkSelection = (path: string, name: string, width: number, rank: number, selected: Int32Array): E.Either<IoError, Int32Array> => {
  if (selected.length !== rank) return fail(`${path}: ${name} holds ${selected.length} columns, and the rank is ${rank}`)
  const outside = selected.find(column => column < 0 || column >= width)
  if (outside !== undefined) return fail(`${path}: ${name} holds column ${outside}, and the module has ${width}`)
  return new Set(selected).size < rank ? fail(`${path}: ${name} holds a column twice`) : E.right(selected)
}

/**
 * Reads a selection: `columns.<module path>`, int32 `[rank]`, of every module that is tuned; other entries are ignored.
 * Errors: a missing entry, one of another type or length, a column that does not exist or comes twice.
 * @example await readColumns('columns.safetensors', widths, 8)()
 */
export const readColumns = (
  path: string, widths: ReadonlyMap<string, number>, rank: number): TE.TaskEither<IoError, ReadonlyMap<string, Int32Array>> =>
  TE.bracket(
    openSafetensors(path),
    archive => pipe(
      [...widths],
      RA.traverse(TE.ApplicativeSeq)(([module, width]) => {
        const name = `columns.${module}`, entry = archive.tensors.get(name)
        if (entry === undefined) return TE.left(ioError(`${path}: it has no ${name}`))
        return pipe(
          TE.tryCatch(() => entry.read(), error => (isIoError(error) ? error : ioError(`${path}: ${String(error)}`))),
          TE.flatMapEither(({ dtype, data }) => (dtype === 'i32' ? checkSelection(path, name, width, rank, data)
            : fail(`${path}: ${name} is ${entry.dtype}, not int32`))),
          TE.map(columns => [module, columns] as const))
      }),
      TE.map(pairs => new Map(pairs))),
    archive => TE.fromTask(() => archive.close()))

/** AdamW behind a clip of the gradient's norm; `clip` 0 is none. @example optimizer({ lr: 1e-4, weightDecay: 0.01, clip: 1 }) */
export const optimizer = <L extends LearningRate>(
  { lr, weightDecay, clip }: { readonly lr: L; readonly weightDecay: number; readonly clip: number }) =>
  chain(clip > 0 ? clipByGlobalNorm(clip) : identity, adamw({ lr, weightDecay }))

import { totalmem } from 'node:os'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  checkCached,
  load,
  loadTokenizer,
  readRows,
  type AdapterSettings,
  type AnyLoaded,
  type Checkpoint,
  type Loaded,
  type Rows,
  type Tokenizer,
  type WeightedAdapter,
} from '../io/index.ts'
import { bytesText, fail, ioError, orThrow, type IoError } from '../text/index.ts'
import {
  compile,
  type Precision,
  type Session,
  type StopSignal,
  type TargetName,
  type TargetOptions,
  stoppable,
} from '../backend/index.ts'
import type { CompilerOptions } from '../compile/index.ts'
import { bytesPerElement } from '../tensor/index.ts'
import type { LanguageBatch, LanguageOutputs, LanguageParams } from '../model/index.ts'
import { adapt, full, identity, type Lazy } from '../tune/index.ts'
import { trainStep } from '../train/index.ts'
import { buffersWithAdapters, inRange, withAdapters } from '../train/finetune.ts'
import { continuedFrom } from './start-from.ts'
import { anyModel, packedModel, tuneAny, type AnyTuned } from './tune.ts'
import { loadAdapters } from './adapter-arguments.ts'

/** A pretrained model with its tokenizer, if it has one. */
export interface PretrainedModel extends Loaded<'text'> {
  readonly tokenizer: Tokenizer | undefined
}

/** A model with its tokenizer, if it has one. */
export const withTokenizer = (loaded: Loaded<'text'>): TE.TaskEither<IoError, PretrainedModel> =>
  pipe(
    loadTokenizer(loaded.checkpoint),
    TE.map((tokenizer): PretrainedModel => ({ ...loaded, tokenizer })),
  )

/**
 * Opens a model and its tokenizer; weights are read on demand. Close `checkpoint` once the session is open.
 * @example const source = await orThrow(openModel('SmolLM2-135M-Instruct.gguf'))
 */
export const openModel = (path: string): TE.TaskEither<IoError, PretrainedModel> =>
  pipe(
    checkCached(path),
    TE.flatMap(() => load(path, 'text')),
    TE.flatMap(loaded =>
      pipe(
        withTokenizer(loaded),
        // a failure leaves no file open
        TE.tapError(() => TE.fromTask(() => loaded.checkpoint.close())),
      ),
    ),
  )

/** The target that a program runs on, and its precision. */
export interface RunOptions {
  readonly target: TargetName
  readonly threads?: number | undefined
  readonly precision?: Precision | undefined
  /** Receives the target that `auto` has chosen, and the reason. */
  readonly onTarget?: ((target: string, reason: string) => void) | undefined
  /** Receives warnings about the model, its adapters and the rows, one sentence each. */
  readonly onWarning?: ((message: string) => void) | undefined
  /** Ends the work in progress; a training run saves what it has learned. */
  readonly signal?: StopSignal | undefined
}

/** The options by which a training step trades time for memory. */
export interface MemoryOptions {
  /** Keeps only the input of each layer, and recomputes the rest of it in the backward pass. */
  readonly checkpointing?: boolean | undefined
  /** The most bytes that a step may hold; see `compile`. */
  readonly memory?: number | undefined
}

/** The values that a backward pass recomputes, as the compiler takes them. */
export const recomputing = ({ checkpointing }: MemoryOptions): Pick<CompilerOptions, 'recompute'> =>
  checkpointing === true ? { recompute: 'all' } : {}

/** The options of a command that trains nothing: a model with its adapters. */
export interface FrozenOptions extends RunOptions {
  readonly model: string
  /** Directories of adapters, each with a weight if it is not 1: `DIR:0.5`. */
  readonly adapter?: readonly string[] | undefined
  /** Holds linear modules in 4 bits; see `finetune`. */
  readonly quantize?: 'nf4' | undefined
  readonly doubleQuantize?: boolean | undefined
}

/** The options of `compile` from those of the command line. */
export const targetOptions = ({ target, threads, precision }: RunOptions): TargetOptions => ({
  target,
  ...(threads === undefined ? {} : { threads }),
  ...(precision === undefined ? {} : { precision }),
})

/** Reports the target of a session if `auto` has chosen it. */
export const told = <T extends Pick<AnySession, 'target' | 'reason'>>(session: T, { onTarget }: RunOptions): T => {
  if (session.reason !== undefined) onTarget?.(session.target, session.reason)
  return session
}

/** The longest rows unless `--seq` specifies another length. */
export const defaultLength = 512

/**
 * The rows of a data set, for a model: encoded, checked against its vocabulary, cut to `seq` tokens. Errors: those of
 * `readRows`; a length that the model does not support; an interrupt through `signal`.
 * @example const { rows, warnings } = await orThrow(readRowsFor(source, 'data.jsonl', 256))
 */
export const readRowsFor = (
  { tokenizer, checkpoint: { config } }: PretrainedModel,
  path: string,
  length?: number,
  signal?: StopSignal,
): TE.TaskEither<IoError, Rows> => {
  const most = config.max_position_embeddings
  const seq = length ?? Math.min(defaultLength, most)
  return seq > most
    ? TE.left(ioError(`--seq ${seq} is longer than the model reads: its max_position_embeddings is ${most}`))
    : readRows(path, { tokenizer, vocabSize: config.vocab_size, seq, signal })
}

const rowCount = (n: number): string => `${n} ${n === 1 ? 'row' : 'rows'}`

/** Notes on the changes to the rows of a file, in words. @example rowWarnings('data.jsonl', { cut: 3, unscored: 0 }) */
export const rowWarnings = (path: string, { cut, unscored }: Rows['warnings']): readonly string[] => [
  ...(cut > 0 ? [`${path}: ${rowCount(cut)} cut to the length of --seq`] : []),
  ...(unscored > 0
    ? [`${path}: ${rowCount(unscored)} left out: no token in ${unscored === 1 ? 'it' : 'them'} is scored`]
    : []),
]

/** The bytes that this process may use: those of the machine, or of its container. */
export const machineMemory = (): number => Math.min(process.constrainedMemory?.() || Infinity, totalmem())

/**
 * Refuses work that needs more memory than the machine or the target has, before anything is started; the message
 * states the need.
 * @example checkMemory('fine-tuning', session.certificate(dims).total, session.limit)
 */
export const checkMemory = (needs: number, limit = Infinity, subject = 'a step'): TE.TaskEither<IoError, void> => {
  const most = Math.min(limit, machineMemory())
  return needs <= most
    ? TE.right(undefined)
    : TE.left(
        ioError(
          `${subject} needs ${bytesText(needs, 'up')} of memory, and there are ${bytesText(most, 'down')}: ` +
            'take a smaller --batch or --seq',
        ),
      )
}

/** A session of a model of any task, which trains nothing. */
export type AnySession = Session<unknown, unknown, unknown, unknown, unknown, unknown, string, unknown>

type Quantization = NonNullable<AdapterSettings['quantize']>

/**
 * The model for a session that trains nothing: with adapters written into its weights, or with packed weights and one
 * adapter.
 */
const frozenOf = async (
  source: AnyLoaded,
  uses: readonly WeightedAdapter[],
  quantize: Quantization | undefined,
): Promise<{ readonly tuned: AnyTuned; readonly weights: Lazy<unknown> }> => {
  const targets: readonly string[] = []
  const { weights } = source
  if (quantize === undefined)
    return { tuned: adapt(anyModel(source), full({ targets })), weights: withAdapters(weights as Lazy<unknown>, uses) }
  const [use, ...others] = uses
  if (use === undefined) return { tuned: adapt(anyModel(source), packedModel(source, quantize)), weights }
  if (others.length > 0 || (use.weight ?? 1) !== 1)
    return orThrow(async () => fail('--quantize goes with one adapter, of weight 1'))
  const {
    options,
    targets: found,
    beginning,
    written,
  } = await orThrow(async () => continuedFrom({ ...use.adapter, quantize }, 'the adapter', { seed: 0 }))
  const tuned = await orThrow(async () => tuneAny(source, options, beginning, found))
  return { tuned, weights: written ? withAdapters(weights as Lazy<unknown>, [{ adapter: written }]) : weights }
}

/** A model with its adapters, in a session that trains nothing. */
export interface Frozen<L extends AnyLoaded> {
  /** The model as its adapters need it: with a head for their classes, or one that is separate from the embedding. */
  readonly source: L
  readonly session: AnySession
}

/**
 * Opens a session on a model of any task, with adapters, named as `DIR` or `DIR:WEIGHT`, written into its weights;
 * nothing in it can be trained. With `quantize`, linear modules stay packed, and a single adapter is applied separately,
 * as during its training. Errors: those of the adapters' files; an adapter for another base; a `SessionError` if the
 * target refuses.
 * @example const { session } = await openAnyFrozen(source, { target: 'auto' }, ['my-adapter', 'another:0.5'])
 */
export const openAnyFrozen = async <L extends AnyLoaded>(
  source: L,
  run: RunOptions,
  adapters: readonly string[] = [],
  quantize?: Quantization,
): Promise<Frozen<L>> => {
  try {
    const { source: bound, uses, warnings } = await loadAdapters(source, adapters, quantize)
    for (const message of [...source.checkpoint.warnings, ...warnings]) run.onWarning?.(message)
    const { tuned, weights } = await frozenOf(bound, uses, quantize)
    await orThrow(checkModel(bound, run))
    const held = stoppable(inRange(weights, run.precision), run.signal)
    const options = {
      ...targetOptions(run),
      weights: held,
      buffers: buffersWithAdapters(bound.buffers, uses),
    }
    return { source: bound, session: told(await compile(trainStep(tuned, identity), options), run) }
  } finally {
    await source.checkpoint.close()
  }
}

/** A session of a language model that trains nothing: for evaluation and generation. */
export type FrozenSession = Session<LanguageParams, LanguageParams, unknown, unknown, LanguageBatch, LanguageOutputs>

/**
 * Opens such a session of a language model, as {@link openAnyFrozen} does.
 * @example await using session = await openFrozen(source, { target: 'auto' }, ['my-adapter', 'another:0.5'])
 */
export const openFrozen = async (
  source: PretrainedModel,
  run: RunOptions,
  adapters?: readonly string[],
  quantize?: Quantization,
): Promise<FrozenSession> =>
  // the session is that of the model
  (await openAnyFrozen(source, run, adapters, quantize)).session as unknown as FrozenSession

/** Refuses a model that the machine cannot hold, before any weight is read. */
export const checkModel = (
  source: { readonly checkpoint: Checkpoint },
  { precision = 'f32' }: RunOptions,
): TE.TaskEither<IoError, void> => checkMemory(bytesPerElement[precision] * parametersOf(source), Infinity, 'the model')

/** The number of parameters, from the header. @example parametersOf(source) // 134_515_008 */
const parametersOf = ({ checkpoint }: { readonly checkpoint: Checkpoint }): number =>
  [...checkpoint.tensors.values()].reduce((n, { sizes }) => n + sizes.reduce((a, b) => a * b, 1), 0)

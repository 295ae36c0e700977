import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { readText, reserve, writeAtomically } from '../host/index.ts'
import { fail, ioError, orThrow, type IoError } from '../text/index.ts'
import { giveWay } from '../backend/index.ts'
import { chooseOptimizer, type ChosenOptimizer } from '../train/index.ts'
import { inRange } from '../train/finetune.ts'
import type { OptimizerName } from '../tune/index.ts'
import { checkSelectSteps, defaultSelectSteps, selectColumns } from './selection.ts'
import { keep } from './keep.ts'
import { methodOptions, type MethodChoice } from './method.ts'
import type { RunOptions } from './pretrained.ts'
import {
  fittingData,
  openSource,
  readExamples,
  targetsFor,
  type AnyBatch,
  type ReadOptions,
  type Source,
} from './source.ts'
import { adapt, full, recordOf } from '../tune/index.ts'
import { anyModel, tuneAny, type AnyTuned } from './tune.ts'
import {
  certificateText,
  type ConvergenceCertificate,
  checkCertificate,
  type CertificateReport,
  certificatePicture,
  verify,
  type MeasuredOptimizer,
  type VerifyEvent,
  type VerifyOptions,
} from '../verify/index.ts'

/** The options of `partensor verify`; see its `--help`. */
export interface VerifyModelOptions extends RunOptions, MethodChoice, Omit<ReadOptions, 'augment'> {
  readonly model: string
  readonly data: string
  /** The number of rows whose mean loss is f: the first ones of the data. */
  readonly rows: number
  /** Rows per micro-batch. */
  readonly batch: number
  readonly steps: number
  readonly lr?: number | undefined
  /** The optimizer; `sgd` is gradient descent, the subject of the theorem. */
  readonly optimizer: OptimizerName
  readonly weightDecay?: number | undefined
  readonly clip: number
  readonly proof: NonNullable<VerifyOptions<never, never, never, never, never>['proof']>
  readonly iterations: number
  /** True if the curvature of all weights is reported for comparison. */
  readonly allWeights?: boolean | undefined
  readonly selectSteps?: number | undefined
  /** The directory for the certificate and the picture. */
  readonly out?: string | undefined
}

export type VerifyModelEvent =
  | VerifyEvent
  | { readonly event: 'warning'; readonly message: string }
  | { readonly event: 'done'; readonly certificate: ConvergenceCertificate; readonly out: string | null }

/** The names of a certificate's files in the directory of a verification. */
export const certificateFile = 'certificate.json'
export const pictureFile = 'descent.svg'

/** An optimizer as finetune uses it, which is measured without any guarantee. */
const measured = (options: VerifyModelOptions): E.Either<IoError, MeasuredOptimizer> =>
  E.map(({ optimizer, lr, weightDecay, clip, transform }: ChosenOptimizer) => ({
    name: optimizer,
    lr,
    transform: transform(lr),
    settings: { weightDecay, clip },
  }))(chooseOptimizer(options))

/**
 * Verifies the descent of a pretrained model on its first rows: see {@link verify}. With `out`, a certificate and a
 * picture are written, both or neither; if `out` cannot be written at the end, they are kept elsewhere. Errors are
 * thrown with one sentence (`IoError`, `VerifyError`, `SessionError`).
 * @example await verifyModel({ ...options, model: 'SmolLM2-135M-Instruct.gguf', data: 'rows.jsonl', out: 'verified' }, console.log)
 */
export const verifyModel = async (
  options: VerifyModelOptions,
  onEvent: (event: VerifyModelEvent) => void,
): Promise<ConvergenceCertificate> => {
  const { out } = options
  const reservation = out === undefined ? undefined : await orThrow(reserve(out))
  try {
    const certificate = await certified(options, onEvent)
    if (out === undefined) {
      onEvent({ event: 'done', certificate, out: null })
      return certificate
    }
    const files = {
      [certificateFile]: certificateText(certificate),
      [pictureFile]: await certificatePicture(certificate),
    }
    const { directory, problem } = await orThrow(keep(out, 'the certificate', place => writeAtomically(place, files)))
    onEvent({ event: 'done', certificate, out: directory })
    return problem === undefined ? certificate : await orThrow(async () => fail(problem))
  } finally {
    await reservation?.release()
  }
}

const certified = async (
  options: VerifyModelOptions,
  onEvent: (event: VerifyModelEvent) => void,
): Promise<ConvergenceCertificate> => {
  const source = await orThrow(openSource(options.model))
  try {
    await giveWay(options.signal)
    return await verifiedOf(options, source, onEvent)
  } finally {
    await source.checkpoint.close()
  }
}

const verifiedOf = async (
  options: VerifyModelOptions,
  opened: Source,
  onEvent: (event: VerifyModelEvent) => void,
): Promise<ConvergenceCertificate> => {
  const { source, notes } = await orThrow(fittingData(opened, options.data, options.seed))
  const { batch, seed, target, threads, precision } = options
  const optimizer = options.optimizer === 'sgd' ? undefined : await orThrow(TE.fromEither(measured(options)))
  const method = await orThrow(TE.fromEither(methodOptions(options, source.checkpoint.architecture)))
  const targets = await orThrow(TE.fromEither(targetsFor(source, method)))
  const { examples: all, warnings } = await orThrow(readExamples(source, options.data, options))
  const examples = all.first(options.rows)
  const plan = { batch, epochs: 1 }
  for (const message of [...source.checkpoint.warnings, ...notes, ...warnings]) onEvent({ event: 'warning', message })
  const select = options.select
  const selectSteps = options.selectSteps ?? defaultSelectSteps
  await orThrow(checkSelectSteps(select, selectSteps, examples.length))
  const chosen =
    select === undefined
      ? undefined
      : await selectColumns(source, source.weights, targets.modules, examples, {
          target,
          threads,
          precision,
          signal: options.signal,
          select,
          steps: selectSteps,
          shareColumns: method.shareColumns === true,
          plan: { ...plan, seed },
        })
  const tuned = await orThrow(TE.fromEither(tuneAny(source, method, chosen ? { chosen } : {}, targets)))
  const beside = options.allWeights ? { name: 'all weights', tuned: everything(source) } : undefined
  const dims = examples.dims(plan)
  const batches: AnyBatch[] = []
  for await (const [one] of examples.steps(plan)) batches.push(one!)
  const paths = targets.modules.map(({ path }) => path)
  return verify({
    tuned,
    weights: inRange(source.weights, precision),
    dims: examples.unseen(plan),
    steps: options.steps,
    proof: options.proof,
    iterations: options.iterations,
    seed,
    lowest: 0,
    batches,
    target,
    ...(threads === undefined ? {} : { threads }),
    ...(precision === undefined ? {} : { precision }),
    ...(beside ? { beside } : {}),
    ...(options.lr === undefined ? {} : { lr: options.lr }),
    ...(optimizer ? { optimizer } : {}),
    about: {
      model: options.model,
      targets: paths,
      rank: recordOf(method.method).rank ? method.rank : null,
      rows: examples.length,
      seq: dims['seq'] ?? null,
    },
    seeds: { selection: seed },
    signal: options.signal,
    onEvent,
  })
}

/** Full fine-tuning of every parameter. */
const everything = (source: Source): AnyTuned =>
  adapt(anyModel(source), full({ targets: ['all'] as readonly string[] }))

/**
 * Checks the file of a certificate, without the run.
 * @example const { certificate, proved } = await checkFile('verified/certificate.json')
 */
export const checkFile = async (path: string): Promise<CertificateReport> => {
  const text = await orThrow(readText(path))
  return orThrow(async () => E.mapLeft((message: string) => ioError(`${path}: ${message}`))(checkCertificate(text)))
}

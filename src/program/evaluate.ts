import { reserve, writeAtomically } from '../host/index.ts'
import { fail, orThrow } from '../text/index.ts'
import { giveWay } from '../backend/index.ts'
import { batchDims, evaluateRows } from '../train/finetune.ts'
import type { Values } from '../tune/index.ts'
import type { ImageOutputs } from '../model/index.ts'
import { svgOf } from '../verify/index.ts'
import { outcomesOf, reportOf, type ClassificationReport, type Outcome } from './classification.ts'
import { confusionSpec } from './confusion-spec.ts'
import { keep } from './keep.ts'
import { quantization } from './method.ts'
import {
  checkMemory,
  openAnyFrozen,
  openFrozen,
  readRowsFor,
  rowWarnings,
  type AnySession,
  type PretrainedModel,
  type FrozenOptions,
} from './pretrained.ts'
import {
  checkReadOptions,
  isClassifier,
  openSource,
  readImages,
  type PretrainedClassifier,
  type ReadOptions,
} from './source.ts'

/** The options of `partensor evaluate`. */
export interface EvaluateOptions extends FrozenOptions, Omit<ReadOptions, 'augment'> {
  readonly data: string
  readonly batch: number
  /** The directory for the report on a classifier and its confusion matrix. */
  readonly out?: string | undefined
}

/** The loss over rows of text, a mean over their scored tokens; perplexity is e to its power. */
export interface EvaluateResult {
  readonly event: 'done'
  readonly loss: number
  /** e to the power of the loss; absent if no number can hold it. */
  readonly perplexity?: number
  readonly tokens: number
  readonly rows: number
  readonly seconds: number
}

/** The measures of a classifier over labelled images. */
export interface EvaluateImagesResult extends ClassificationReport {
  readonly event: 'done'
  /** The number of broken images that were left out. */
  readonly broken: number
  readonly out: string | null
  readonly seconds: number
}

/** The names of the files in the directory of an evaluation. */
const reportFile = 'report.json'
const confusionFile = 'confusion.svg'

/** The logits of an image classifier. */
export const logitsOf = async (session: AnySession, images: unknown): Promise<Values<ImageOutputs>['logits']> =>
  // the outputs are those of a classifier
  ((await session.predict({ images } as object)) as Values<ImageOutputs>).logits

/** The report of an evaluation, written with its picture: both or neither. */
const written = async (out: string, report: object & ClassificationReport): Promise<string> => {
  const files = {
    [reportFile]: `${JSON.stringify(report, undefined, 2)}\n`,
    [confusionFile]: await svgOf(confusionSpec(report)),
  }
  const { directory, problem } = await orThrow(keep(out, 'the report', place => writeAtomically(place, files)))
  return problem === undefined ? directory : orThrow(async () => fail(problem))
}

const evaluateImages = async (
  opened: PretrainedClassifier,
  options: EvaluateOptions,
): Promise<EvaluateImagesResult> => {
  const { batch, out, onWarning } = options
  const { source, session } = await openAnyFrozen(opened, options, options.adapter, quantization(options))
  await using _ = session
  const { labels } = source.checkpoint.config
  let broken = 0
  const onBroken = (message: string): void => {
    broken += 1
    onWarning?.(message)
  }
  const { examples, warnings } = await orThrow(readImages(source, options.data, { ...options, onWarning: onBroken }))
  for (const message of warnings) onWarning?.(message)
  await orThrow(checkMemory(session.certificate({ batch }).total, session.limit))
  const began = performance.now()
  const outcomes: Outcome[] = []
  for await (const [one] of examples.steps({ batch, epochs: 1 })) {
    await giveWay(options.signal)
    const found = outcomesOf(await logitsOf(session, one!.images), one!.labels.data)
    outcomes.push(...found)
    if (!found.every(({ loss }) => Number.isFinite(loss)))
      await orThrow(async () => fail('the loss is no number: the numbers of the model are too large for its precision'))
  }
  const report = { ...reportOf(outcomes, labels), broken }
  const seconds = (performance.now() - began) / 1000
  return { event: 'done', ...report, out: out === undefined ? null : await written(out, report), seconds }
}

const evaluateTexts = async (source: PretrainedModel, options: EvaluateOptions): Promise<EvaluateResult> => {
  const { rows, warnings } = await orThrow(readRowsFor(source, options.data, options.seq, options.signal))
  for (const message of rowWarnings(options.data, warnings)) options.onWarning?.(message)
  await using session = await openFrozen(source, options, options.adapter, quantization(options))
  await orThrow(
    checkMemory(session.certificate(batchDims(rows, { batch: options.batch, epochs: 1 })).total, session.limit),
  )
  const began = performance.now()
  const { loss, tokens } = await evaluateRows(session, rows, options.batch, options.signal)
  const perplexity = Math.exp(loss)
  const known = Number.isFinite(perplexity) ? { perplexity } : {}
  return { event: 'done', loss, ...known, tokens, rows: rows.length, seconds: (performance.now() - began) / 1000 }
}

/**
 * Evaluates a model, with or without adapters: the loss over texts, or the report on labelled images. Errors are thrown
 * with one sentence; `onWarning` also receives notes on rows that were cut or left out, and on broken images.
 * @example const { loss } = await evaluate({ model, data: 'held-out.jsonl', batch: 4, target: 'auto' })
 */
export const evaluate = async (options: EvaluateOptions): Promise<EvaluateResult | EvaluateImagesResult> => {
  const { out } = options
  const reservation = out === undefined ? undefined : await orThrow(reserve(out))
  try {
    const source = await orThrow(openSource(options.model))
    try {
      await orThrow(async () => checkReadOptions(source, options, { images: { '--out': out } }))
      return await (isClassifier(source) ? evaluateImages(source, options) : evaluateTexts(source, options))
    } finally {
      await source.checkpoint.close()
    }
  } finally {
    await reservation?.release()
  }
}

import { basename } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { Explanation } from '../compile/index.ts'
import { checkReplaceable, replaceFile } from '../host/index.ts'
import { loadShapes } from '../io/index.ts'
import { fail, orThrow, type IoError } from '../text/index.ts'
import { explainOn, type Precision, type TargetName } from '../backend/index.ts'
import { constant, recordOf, type OptimizerName } from '../tune/index.ts'
import { methodOptions, type MethodChoice, type MethodOptions } from './method.ts'
import { defaultLength, recomputing, type MemoryOptions, type RunOptions } from './pretrained.ts'
import { chooseOptimizer, trainStep } from '../train/index.ts'
import { ownDims } from './counts.ts'
import { targetsOf, tuneAny, type Opened } from './tune.ts'

/** The sizes and the target for which a step is explained. */
export interface ExplainedAs extends MemoryOptions {
  readonly batch: number
  /** Tokens of a row (default: 512); images have none. */
  readonly seq?: number | undefined
  /** The target whose memory is reported: graph, or any other for that of wasm. */
  readonly target?: TargetName
  readonly precision?: Precision
  /** The optimizer whose state is reported. */
  readonly optimizer?: OptimizerName | undefined
  /** Adds the course of the memory and the expressions of a layer. */
  readonly detailed?: boolean
}

/** The options of `partensor explain`. */
export interface ExplainOptions extends MethodChoice, ExplainedAs, Pick<RunOptions, 'onWarning'> {
  readonly model: string
  /** A file for a page that shows the explanation. */
  readonly html?: string | undefined
}

/** The sizes of an example that no model states: the tokens of a row. */
const sizesOfRow = (
  { checkpoint: { task } }: Opened,
  seq: number | undefined,
): E.Either<IoError, { readonly seq?: number }> => {
  if (task === 'text') return E.right({ seq: seq ?? defaultLength })
  return seq === undefined ? E.right({}) : fail('--seq is of texts, and this model classifies images')
}

/**
 * The training step of an open model under a method, with the sizes of its batch. Rejects with an `IoError` for a target
 * module, an optimizer or a size that does not fit the model.
 * @example const { step, dims } = await stepOf(source, method, { batch: 1, seq: 512 })
 */
export const stepOf = async (
  source: Opened,
  method: MethodOptions,
  { batch, seq, optimizer }: Pick<ExplainedAs, 'batch' | 'seq' | 'optimizer'>,
) => {
  const targets = await orThrow(async () => targetsOf(source, method))
  const tuned = await orThrow(async () => tuneAny(source, method, {}, targets))
  const { transform } = await orThrow(async () => chooseOptimizer({ optimizer, clip: 1 }))
  const ofBatch = { batch, ...(await orThrow(async () => sizesOfRow(source, seq))) }
  return {
    step: trainStep(tuned, transform(constant(1e-4))),
    /** The sizes of a batch, and those of the method. */
    ofBatch,
    dims: { ...ofBatch, ...ownDims(tuned, source.checkpoint, targets.modules) },
  }
}

/** Explains the training step of an open model under a method. */
export const explainMethod = async (
  source: Opened,
  method: MethodOptions,
  { target = 'wasm', precision = 'f32', memory, checkpointing, detailed = false, ...sizes }: ExplainedAs,
): Promise<Explanation> => {
  const { step, dims } = await stepOf(source, method, sizes)
  return explainOn(step, { dims, target, precision, memory, detailed, ...recomputing({ checkpointing }) })
}

/**
 * Explains the training step of a model from its header alone: the values that a step keeps. Errors are thrown with one
 * sentence.
 * @example explanationText(await explainModel({ model, method: 'paca', targetModules: 'all-linear', rank: 8, seed: 0, batch: 2, seq: 256 }))
 */
export const explainModel = async ({
  model,
  batch,
  seq,
  target,
  precision,
  optimizer,
  checkpointing,
  memory,
  detailed = false,
  html,
  onWarning,
  ...choice
}: ExplainOptions): Promise<Explanation> => {
  if (html !== undefined) await orThrow(checkReplaceable(html))
  const source = await orThrow(loadShapes(model))
  try {
    for (const message of source.checkpoint.warnings) onWarning?.(message)
    const method = await orThrow(async () => methodOptions(choice, source.checkpoint.architecture))
    const explanation = await explainMethod(source, method, {
      batch,
      seq,
      optimizer,
      checkpointing,
      memory,
      detailed: detailed || html !== undefined,
      ...(target ? { target } : {}),
      ...(precision ? { precision } : {}),
    })
    if (html === undefined) return explanation
    const { explainPage } = await import('./page/explain-page.ts')
    const tokens = source.checkpoint.task === 'images' ? 'images' : `× ${seq ?? defaultLength} tokens`
    const stored = precision === undefined || precision === 'f32' ? '' : ` in ${precision}`
    const page = await explainPage(explanation, {
      method: recordOf(method.method).title,
      model: basename(model),
      sizes: `${batch} ${tokens} on ${target ?? 'wasm'}${stored}`,
    })
    await orThrow(replaceFile(html, page))
    const { course: _, equations: __, ...plain } = explanation
    return detailed ? explanation : plain
  } finally {
    await source.checkpoint.close()
  }
}

import { orThrow } from '../text/index.ts'
import { batchDims, evaluateRows } from '../train/finetune.ts'
import { quantization } from './method.ts'
import { checkMemory, openFrozen, openModel, readRowsFor, rowWarnings, type RunOptions } from './pretrained.ts'

/** The options of `partensor evaluate`. */
export interface EvaluateOptions extends RunOptions {
  readonly model: string
  /** Directories of adapters, each with a weight if it is not 1: `DIR:0.5`. */
  readonly adapter?: readonly string[] | undefined
  /** Holds linear modules in 4 bits; see `finetune`. */
  readonly quantize?: 'nf4' | undefined
  readonly doubleQuantize?: boolean | undefined
  readonly data: string
  readonly batch: number
  readonly seq?: number | undefined
}

/** The loss over a data set, a mean over its scored tokens; perplexity is e to its power. */
export interface EvaluateResult {
  readonly event: 'done'
  readonly loss: number
  /** e to the power of the loss; absent if no number can hold it. */
  readonly perplexity?: number
  readonly tokens: number
  readonly rows: number
  readonly seconds: number
}

/**
 * Evaluates a model, with or without adapters. Errors are thrown with one sentence; `onWarning` also receives notes on
 * rows that were cut or left out.
 * @example const { loss } = await evaluate({ model, data: 'held-out.jsonl', batch: 4, target: 'auto' })
 */
export const evaluate = async (options: EvaluateOptions): Promise<EvaluateResult> => {
  const source = await orThrow(openModel(options.model))
  try {
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
  } finally {
    await source.checkpoint.close()
  }
}

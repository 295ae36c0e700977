import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Explanation } from '../compile/index.ts'
import { orThrow } from '../io/index.ts'
import { explainOn, type Precision, type TargetName } from '../target/index.ts'
import { constant } from '../tune/index.ts'
import { methodOptions, optimizer, tuneLlama, type MethodChoice } from './method.ts'
import { openModel } from './source.ts'
import { trainStep } from './step.ts'

/** What `partensor explain` is asked. */
export interface ExplainOptions extends MethodChoice {
  readonly model: string
  readonly batch: number
  readonly seq: number
  /** The target whose memory is told: graph, or any other for that of wasm. */
  readonly target?: TargetName
  readonly precision?: Precision
}

/**
 * Explains the training step of a model from its header alone: what a step keeps. Errors are thrown with one sentence.
 * @example explanationText(await explainModel({ model, method: 'paca', targetModules: projections, rank: 8, seed: 0, batch: 2, seq: 256 }))
 */
export const explainModel = async ({ model, batch, seq, target = 'wasm', precision = 'f32', ...choice }: ExplainOptions): Promise<Explanation> => {
  const source = await orThrow(openModel(model))
  try {
    const tuned = await orThrow(async () => pipe(methodOptions(choice), E.flatMap(method => tuneLlama(source, method))))
    return await explainOn(trainStep(tuned, optimizer({ lr: constant(1e-4), weightDecay: 0.01, clip: 1 })), { dims: { batch, seq }, target, precision })
  } finally {
    await source.checkpoint.close()
  }
}

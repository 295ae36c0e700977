import { compile, type TargetOptions } from '../../src/index.ts'
import { elapsed, forgetPeak, measurement, type Measurement } from '../measurement.ts'
import { randomBatch, stepOf, subject, type MethodName, type SubjectName } from '../subject.ts'

export interface StepOptions {
  readonly model: SubjectName
  readonly method: MethodName
  readonly threads: number
  readonly batch: number
  readonly seq: number
  readonly warmUp: number
  readonly steps: number
}

/** A step on one of the targets (default: wasm in float32). */
export type TargetedStepOptions = Omit<StepOptions, 'threads'> &
  TargetOptions & {
    /** The values that backward passes compute again (default: cheap ones). */
    readonly recompute?: 'none' | 'all'
    /** The most bytes that a step may hold. */
    readonly memory?: number
  }

/** Milliseconds of whole steps of ours: gradients, clipping, AdamW, commit, and reading the report back. */
export const timeStep = async ({
  model: name,
  method,
  batch,
  seq,
  warmUp,
  steps,
  recompute,
  memory,
  ...target
}: TargetedStepOptions): Promise<Measurement> => {
  const { model, vocab, weights, from, close } = await subject(name)
  const options = {
    target: 'wasm',
    ...target,
    weights,
    ...(memory === undefined ? {} : { memory, batch: { batch, seq } }),
    ...(recompute === undefined ? {} : { compiler: { recompute } }),
  } as const
  await using session = await compile(stepOf(model, method), options)
  await close()
  const stated = session.certificate({ batch, seq }).total
  const loadedMegabytes = forgetPeak()
  const data = randomBatch(vocab, batch, seq)
  const times: number[] = []
  const losses: number[] = []
  for (let i = 0; i < warmUp + steps; i++)
    times.push(
      await elapsed(async () => {
        losses.push((await session.step([data])).loss)
      }),
    )
  const found = measurement(times.slice(warmUp), {
    weights: from,
    target: session.target,
    firstLoss: losses[0]!,
    loss: losses.at(-1)!,
    stated,
    loadedMegabytes,
  })
  const { peakMegabytes: stepMegabytes } = found
  return {
    ...found,
    peakMegabytes: Math.max(loadedMegabytes, stepMegabytes),
    facts: { ...found.facts, stepMegabytes },
  }
}

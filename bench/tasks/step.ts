import { compile } from '../../src/index.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { fullStep, pacaStep, randomBatch, subject, type Method, type SubjectName } from '../subject.ts'

export interface StepOptions {
  readonly model: SubjectName
  readonly method: Method
  readonly threads: number
  readonly batch: number
  readonly seq: number
  readonly warmUp: number
  readonly steps: number
}

/** Milliseconds of whole steps of ours: gradients, clipping, AdamW, commit. */
export const timeStep = async ({ model: name, method, threads, batch, seq, warmUp, steps }: StepOptions): Promise<Measurement> => {
  const { model, vocab, weights, from, close } = await subject(name), options = { target: 'wasm', threads, weights } as const
  await using session = await (method === 'paca' ? compile(pacaStep(model), options) : compile(fullStep(model), options))
  await close()
  const data = randomBatch(vocab, batch, seq), times: number[] = []
  for (let i = 0; i < warmUp; i++) await session.step([data])
  for (let i = 0; i < steps; i++) times.push(await elapsed(() => session.step([data])))
  return measurement(times, { weights: from, target: session.target })
}

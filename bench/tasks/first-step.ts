import { compile } from '../../src/index.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { pacaStep, randomBatch, subject } from '../subject.ts'
import type { StepOptions } from './step.ts'

/** Opens a model and takes one step through the library, and says so in the words of the command line. */
export const firstStep = async ({ model: name, threads, batch, seq }: Omit<StepOptions, 'method' | 'warmUp' | 'steps'>): Promise<Measurement> => {
  const { model, vocab, weights, close } = await subject(name)
  await using session = await compile(pacaStep(model), { target: 'wasm', threads, weights })
  await close()
  const { loss, gradNorm, tokens } = await session.step([randomBatch(vocab, batch, seq)])
  console.log(JSON.stringify({ event: 'step', step: 1, loss, gradNorm, tokens }))
  return measurement([])
}

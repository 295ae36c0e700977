import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compile, type TargetOptions } from '../../src/index.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { stepOf, randomBatch, subject, type SubjectName } from '../subject.ts'

export interface SteadinessOptions extends TargetOptions {
  readonly model: SubjectName
  readonly batch: number
  readonly seq: number
  /** The number of steps after which memory is first read; it is read again half way and at the end. */
  readonly warmUp: number
  readonly steps: number
}

/** The part of tfjs-core that is used here. */
interface Core {
  readonly memory: () => { readonly numTensors: number }
}

/**
 * The memory of a process after some steps and after many more: resident memory after garbage collection, and the
 * tensors that tfjs knows.
 */
export const checkSteadiness = async ({
  model: name,
  batch,
  seq,
  warmUp,
  steps,
  ...target
}: SteadinessOptions): Promise<Measurement> => {
  setFlagsFromString('--expose-gc')
  // V8 gives the function to contexts that are made after the flag is set
  const collect = runInNewContext('gc') as () => void
  const core: Core = createRequire(import.meta.url)('@tensorflow/tfjs-core')
  const { model, vocab, weights, close } = await subject(name)
  await using session = await compile(stepOf(model, 'paca'), { ...target, weights })
  await close()
  const times: number[] = []
  const run = async (upTo: number): Promise<{ readonly bytes: number; readonly tensors: number }> => {
    while (times.length < upTo) {
      const data = randomBatch(vocab, batch, seq)
      times.push(await elapsed(() => session.step([data])))
    }
    collect()
    return { bytes: process.memoryUsage.rss(), tensors: core.memory().numTensors }
  }
  const early = await run(warmUp)
  const half = await run(steps / 2)
  const late = await run(steps)
  return measurement(times.slice(warmUp), {
    target: session.target,
    earlyBytes: early.bytes,
    halfBytes: half.bytes,
    lateBytes: late.bytes,
    earlyTensors: early.tensors,
    lateTensors: late.tensors,
  })
}

import { compile, type CompilerOptions, type TargetOptions } from '../../src/index.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { imageStep, imageSubject, randomImages, type ImageMethod, type NetworkName } from '../vision.ts'

export interface ImageStepOptions extends TargetOptions {
  readonly network: NetworkName
  readonly compiler?: CompilerOptions
  readonly method: ImageMethod
  readonly quick: boolean
  readonly batch: number
  readonly warmUp: number
  readonly steps: number
}

/** Milliseconds of whole steps of an image classifier: gradients, AdamW, commit, and reading the report back. */
export const timeImages = async ({
  network,
  method,
  quick,
  batch,
  warmUp,
  steps,
  ...target
}: ImageStepOptions): Promise<Measurement> => {
  const subject = imageSubject(network, { quick })
  const { weights, buffers, imageSize } = subject
  const start = performance.now()
  await using session = await compile(imageStep(subject, method), { ...target, weights, ...(buffers && { buffers }) })
  const data = randomImages(subject, batch)
  const times: number[] = []
  const losses: number[] = []
  const step = async (): Promise<void> => {
    losses.push((await session.step([data])).loss)
  }
  await step()
  const firstStep = performance.now() - start
  for (let i = 0; i < warmUp + steps; i++) times.push(await elapsed(step))
  return measurement(
    times.slice(warmUp),
    {
      target: session.target,
      imageSize,
      firstLoss: losses[0]!,
      loss: losses.at(-1)!,
      stated: session.certificate({ batch }).total,
    },
    { firstStep },
  )
}

import { deviceEngine, openSession } from '../../src/compiler.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { imageStep, type ImageOptions } from '../images.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { observed } from '../observe.ts'

export interface ImageStepOptions extends ImageOptions {
  readonly threads: number
  readonly warmUp: number
  readonly steps: number
  /** True for the time of each op, which costs a few percent. */
  readonly parts: boolean
}

/** Milliseconds of whole steps of an image classifier on wasm, and of each op at its fastest step. */
export const timeImageStep = async ({
  threads,
  warmUp,
  steps,
  parts,
  ...of
}: ImageStepOptions): Promise<Measurement> => {
  const { step, values, data, batch } = imageStep(of)
  const current = new Map<string, number>()
  const fastest = new Map<string, number>()
  const device = await wasmDevice({ threads })
  const watched = observed(device, ({ node }, _, milliseconds) => {
    current.set(node.op.name, (current.get(node.op.name) ?? 0) + milliseconds)
  })
  await using session = await openSession(step, deviceEngine(parts ? watched : device), values())
  const times: number[] = []
  const losses: number[] = []
  for (let i = 0; i < warmUp + steps; i++) {
    current.clear()
    times.push(
      await elapsed(async () => {
        losses.push((await session.step([data])).loss)
      }),
    )
    if (i < warmUp) continue
    for (const [op, milliseconds] of current) fastest.set(op, Math.min(fastest.get(op) ?? Infinity, milliseconds))
  }
  return measurement(
    times.slice(warmUp),
    { firstLoss: losses[0]!, loss: losses.at(-1)!, stated: session.certificate({ batch }).total },
    Object.fromEntries(fastest),
  )
}

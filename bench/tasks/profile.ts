import { deviceEngine, openSession } from '../../src/compiler.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { observed } from '../observe.ts'
import { nameOf, productOf } from '../products.ts'
import { randomBatch, stepOf, subject } from '../subject.ts'
import type { StepOptions } from './step.ts'

/** The time of a step by op, by the sizes of products, and the rest; each part at its fastest step. */
export const profileStep = async ({
  model: name,
  method,
  threads,
  batch,
  seq,
  warmUp,
  steps,
}: StepOptions): Promise<Measurement> => {
  const { model, vocab, weights, from, close } = await subject(name)
  const current = new Map<string, number>()
  const fastest = new Map<string, number>()
  const device = observed(await wasmDevice({ threads }), (instruction, plan, milliseconds) => {
    const product = productOf(instruction, plan)
    const part = product ? nameOf(product) : instruction.node.op.name
    current.set(part, (current.get(part) ?? 0) + milliseconds)
  })
  await using session = await openSession(stepOf(model, method), deviceEngine(device), { weights })
  await close()
  const data = randomBatch(vocab, batch, seq)
  const times: number[] = []
  for (let i = 0; i < warmUp + steps; i++) {
    current.clear()
    const took = await elapsed(() => session.step([data]))
    if (i < warmUp) continue
    times.push(took)
    current.set('(between instructions)', took - [...current.values()].reduce((sum, part) => sum + part, 0))
    for (const [part, milliseconds] of current) fastest.set(part, Math.min(fastest.get(part) ?? Infinity, milliseconds))
  }
  return measurement(times, { weights: from }, Object.fromEntries(fastest))
}

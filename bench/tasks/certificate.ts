import { createRequire } from 'node:module'
import { deviceEngine, openSession } from '../../src/compiler.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { observed } from '../observe.ts'
import { randomBatch, stepOf, subject } from '../subject.ts'
import type { StepOptions } from './step.ts'

/** The parts of tfjs-core and of its wasm backend that are used here. */
interface Core {
  readonly findBackend: (name: string) => { readonly wasm: { readonly HEAPU8: Uint8Array } }
}

/**
 * The certified memory of a step, the most that `tf.memory()` counted after any instruction, and the growth of the wasm
 * heap. The heap grows in steps that emscripten chooses; `touchedBytes` is the number of bytes up to the last one that
 * was ever written.
 */
export const checkCertificate = async ({
  model: name,
  method,
  threads,
  batch,
  seq,
  steps,
}: StepOptions): Promise<Measurement> => {
  const { model, vocab, weights, from, close } = await subject(name)
  const device = await wasmDevice({ threads })
  let peak = 0
  const watched = observed(device, () => {
    peak = Math.max(peak, device.bytes())
  })
  const core: Core = createRequire(import.meta.url)('@tensorflow/tfjs-core')
  const heap = (): Uint8Array => core.findBackend('wasm').wasm.HEAPU8
  const heapBefore = heap().byteLength
  const touchedBefore = touched(heap())
  await using session = await openSession(stepOf(model, method), deviceEngine(watched), { weights })
  await close()
  const times: number[] = []
  const data = randomBatch(vocab, batch, seq)
  for (let i = 0; i < steps; i++) times.push(await elapsed(() => session.step([data])))
  const { total } = session.certificate({ batch, seq })
  return measurement(times, {
    weights: from,
    certifiedBytes: total,
    peakBytes: peak,
    heapGrowthBytes: heap().byteLength - heapBefore,
    touchedBytes: touched(heap()) - touchedBefore,
  })
}

/** Bytes up to the last one that is not zero: fresh pages are zero. */
const touched = (heap: Uint8Array): number => {
  const words = new Int32Array(heap.buffer)
  let end = words.length
  while (end > 0 && words[end - 1] === 0) end--
  return 4 * end
}

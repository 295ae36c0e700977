import { createRequire } from 'node:module'

/** tfjs's own engine, to count the tensors that it holds; its published types require the DOM's. */
interface Engine {
  trackTensor(...of: unknown[]): void
  readonly state: { readonly numBytes: number; readonly numTensors: number }
}
const { engine } = createRequire(import.meta.url)('@tensorflow/tfjs-core') as { readonly engine: () => Engine }

/** The bytes and the tensors that tfjs holds now. */
export const heldNow = (): Engine['state'] => {
  const { numBytes, numTensors } = engine().state
  return { numBytes, numTensors }
}

/** The most bytes that tfjs held while something ran. */
export const peakWhile = async (run: () => Promise<unknown>): Promise<number> => {
  const tracked = engine()
  const original = tracked.trackTensor.bind(tracked)
  let peak = tracked.state.numBytes
  tracked.trackTensor = (...of) => {
    original(...of)
    peak = Math.max(peak, tracked.state.numBytes)
  }
  try {
    await run()
  } finally {
    tracked.trackTensor = original
  }
  return peak
}

import type { Environment, Shape, Value } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { EngineDecoder } from './engine.ts'
import type { Decoder } from './session.ts'

/** Generation on a session's weights: keeps the position, and refuses what does not fit. */
export const decoderOn = (
  engine: EngineDecoder, bound: (sizes: Environment) => Environment, { batch, capacity }: { readonly batch: number; readonly capacity: number }): Decoder => {
  let position = 0
  return {
    get position() { return position },
    next: async (tokens: Value<Shape, 'i32'>): Promise<Value<Shape>> => {
      const [rows, seq] = tokens.sizes as [number, number]
      if (rows !== batch) throw new SessionError(`the decoder reads ${batch} sequences, not ${rows}`)
      if (position + seq > capacity) throw new SessionError(`${position} + ${seq} tokens do not fit into a capacity of ${capacity}`)
      const { sizes, data } = await engine.next(tokens, position, bound({ batch, capacity, seq }))
      position += seq
      return { sizes, data: data as Float32Array, dtype: 'f32', shape: ['batch', 'seq', 'vocab'] }
    },
    rewind: to => {
      if (to < 0 || to > position) throw new SessionError(`a decoder at ${position} cannot go back to ${to}`)
      position = to
    },
    [Symbol.dispose]: engine.dispose,
  }
}

import { placeholder, type Environment, type Shape, type Value } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { BufferValues, EngineDecoder } from './engine.ts'
import type { Queue } from './queue.ts'
import type { Decoder } from './session.ts'
import { copied, valueFor } from './values.ts'

/** The parts of a session that a decoder needs. */
interface Surroundings {
  readonly queue: Queue
  readonly bound: (sizes: Environment) => Environment
  readonly engine: EngineDecoder
  /** Throws if the session is disposed. */
  readonly checkOpen: () => void
  /** The number of times that the weights have been replaced. */
  readonly version: () => number
  /** The present buffers. */
  readonly buffers: () => BufferValues
}

const declared = placeholder(['batch', 'seq'], 'i32')
const checkWhole = (what: string, size: number): void => {
  if (!Number.isSafeInteger(size) || size <= 0)
    throw new SessionError(`the ${what} of a decoder is ${size}: it is a positive whole number`)
}

/** Generation on a session's weights: it keeps the position, and refuses tokens that do not fit. */
export const decoderOn = (
  { queue, bound, engine, checkOpen, version, buffers }: Surroundings,
  { batch, capacity }: { readonly batch: number; readonly capacity: number },
): Decoder => {
  checkWhole('batch', batch)
  checkWhole('capacity', capacity)
  let position = 0
  let reading = 0
  let disposed = false
  let remembered = version()
  const open = (): void => {
    checkOpen()
    if (disposed) throw new SessionError('the decoder is disposed')
  }
  const next = async (tokens: ReturnType<typeof valueFor>): Promise<Value<Shape>> => {
    const seq = tokens.sizes[1]!
    // the cache was computed with the weights of that time
    if (position > 0 && remembered !== version()) {
      throw new SessionError(
        'the weights have changed since the decoder read what it remembers: rewind it to 0 and read that again',
      )
    }
    if (position + seq > capacity)
      throw new SessionError(`${position} + ${seq} tokens do not fit into a capacity of ${capacity}`)
    remembered = version()
    const { sizes, data } = await engine.next(tokens, position, bound({ batch, capacity, seq }), buffers())
    position += seq
    return { sizes, data: data as Float32Array, dtype: 'f32', shape: ['batch', 'seq', 'vocab'] }
  }
  return {
    get position() {
      return position
    },
    next: async (tokens: Value<Shape, 'i32'>): Promise<Value<Shape>> => {
      open()
      const given = copied(valueFor({ where: 'tokens', leaf: declared, found: tokens }))
      const [rows] = given.sizes
      if (rows !== batch) throw new SessionError(`the decoder reads ${batch} sequences, not ${rows}`)
      reading += 1
      try {
        return await queue.run(() => next(given))
      } finally {
        reading -= 1
      }
    },
    rewind: to => {
      open()
      if (reading > 0) throw new SessionError('the decoder is reading: await what it reads, then rewind it')
      if (!Number.isSafeInteger(to) || to < 0 || to > position)
        throw new SessionError(`a decoder at ${position} cannot go back to ${to}`)
      position = to
    },
    [Symbol.dispose]: () => {
      if (disposed) return
      disposed = true
      void queue
        .run(async () => {
          engine.dispose()
        })
        .catch(() => undefined)
    },
  }
}

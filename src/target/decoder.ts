import type { Programs } from '../compile/index.ts'
import { count, type Environment, type Node, type Shape, type Value } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { Runner } from './runner.ts'
import type { Decoder } from './session.ts'

/** Generation on a session's weights: a cache of fixed capacity, written in place. */
export const decoderOf = <H>(
  programs: Programs, { device, run, once }: Runner<H>, bound: (sizes: Environment) => Environment,
  options: { readonly batch: number; readonly capacity: number }): Decoder => {
  const { decode } = programs
  if (decode === undefined) throw new SessionError('the model does not say how it generates')
  const at = (seq: number) => once('decode', bound({ ...options, seq }), decode)
  let position = 0, caches: ReadonlyMap<Node, H> | undefined
  const empty = ({ program, size }: ReturnType<typeof at>): ReadonlyMap<Node, H> => new Map(program.cache.map(leaf => {
    const sizes = leaf.shape.map(size)
    return [leaf, device.upload({ sizes, dtype: 'f32', data: new Float32Array(count(sizes)) })]
  }))
  return {
    get position() { return position },
    next: async (tokens: Value<Shape, 'i32'>): Promise<Value<Shape>> => {
      const [batch, seq] = tokens.sizes as [number, number]
      if (batch !== options.batch) throw new SessionError(`the decoder reads ${options.batch} sequences, not ${batch}`)
      if (position + seq > options.capacity) throw new SessionError(`${position} + ${seq} tokens do not fit into a capacity of ${options.capacity}`)
      const current = at(seq), { program, size } = current
      caches ??= empty(current)
      const ids = device.upload(tokens), start = device.upload({ sizes: [], dtype: 'i32', data: Int32Array.of(position) })
      try {
        const [logits, ...next] = run(program, size, new Map<Node, H>([...caches, [program.tokens, ids], [program.position, start]]))
        caches = new Map(program.cache.map((leaf, i) => [leaf, next[i]!]))
        position += seq
        const buffer = await device.download(logits!)
        device.free(logits!)
        return { sizes: buffer.sizes, data: buffer.data as Float32Array, dtype: 'f32', shape: ['batch', 'seq', 'vocab'] }
      } finally {
        device.free(ids)
        device.free(start)
      }
    },
    rewind: to => {
      if (to < 0 || to > position) throw new SessionError(`a decoder at ${position} cannot go back to ${to}`)
      position = to
    },
    [Symbol.dispose]: () => {
      for (const handle of caches?.values() ?? []) device.free(handle)
      caches = undefined
    },
  }
}

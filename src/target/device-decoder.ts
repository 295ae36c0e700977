import type { Programs } from '../compile/index.ts'
import { count, type Node } from '../tensor/index.ts'
import type { EngineDecoder } from './engine.ts'
import type { Made, Runner } from './runner.ts'

type Decode = ReturnType<NonNullable<Programs['decode']>>

/** A cache on a device, written in place. */
export const deviceDecoder = <H>({ decode }: Programs, { device, run, once, freeAll }: Runner<H>): EngineDecoder => {
  let caches: ReadonlyMap<Node, H> | undefined
  const empty = ({ program, size }: Made<Decode>): ReadonlyMap<Node, H> => new Map(program.cache.map(leaf => {
    const sizes = leaf.shape.map(size)
    return [leaf, device.upload({ sizes, dtype: 'f32', data: new Float32Array(count(sizes)) })]
  }))
  return {
    next: async (tokens, position, sizes) => {
      // the session has asked whether the model says how it generates
      const current = once('decode', sizes, decode!), { program, size } = current
      caches ??= empty(current)
      const ids = device.upload(tokens), start = device.upload({ sizes: [], dtype: 'i32', data: Int32Array.of(position) })
      try {
        const [logits, ...next] = run(program, size, new Map<Node, H>([...caches, [program.tokens, ids], [program.position, start]]))
        caches = new Map(program.cache.map((leaf, i) => [leaf, next[i]!]))
        try { return await device.download(logits!) } finally { device.free(logits!) }
      } finally {
        freeAll([ids, start])
      }
    },
    dispose: () => {
      freeAll(caches?.values() ?? [])
      caches = undefined
    },
  }
}

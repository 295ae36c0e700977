import type { Programs } from '../compile/index.ts'
import { count, type Node } from '../tensor/index.ts'
import { SessionError } from './device.ts'
import type { EngineDecoder } from './engine.ts'
import type { Made, Runner } from './runner.ts'

type Decode = ReturnType<NonNullable<Programs['decode']>>

/** A cache on a device, updated in place. */
export const deviceDecoder = <H>({ decode }: Programs, { device, run, planned, freeAll }: Runner<H>): EngineDecoder => {
  let caches: ReadonlyMap<Node, H> | undefined
  const empty = ({ program, size }: Made<Decode>): ReadonlyMap<Node, H> =>
    new Map(
      program.cache.map(leaf => {
        const sizes = leaf.shape.map(size)
        return [leaf, device.upload({ sizes, dtype: 'f32', data: new Float32Array(count(sizes)) })]
      }),
    )
  const forget = (): void => {
    freeAll(caches?.values() ?? [])
    caches = undefined
  }
  return {
    next: async (tokens, position, sizes, buffers) => {
      // the session has checked that the model defines generation
      const made = await planned('decode', sizes, decode!)
      const { program } = made
      if (caches === undefined && position > 0)
        throw new SessionError(
          'the decoder has lost what it read, as a call failed: rewind it to 0 and read that again',
        )
      caches ??= empty(made)
      const ids = device.upload(tokens)
      const start = device.upload({ sizes: [], dtype: 'i32', data: Int32Array.of(position) })
      const read = new Map(program.buffers.map(([path, leaf]) => [leaf, device.upload(buffers.get(path)!)]))
      try {
        const [logits, ...next] = await run(
          made,
          new Map<Node, H>([...caches, ...read, [program.tokens, ids], [program.position, start]]),
        )
        caches = new Map(program.cache.map((leaf, i) => [leaf, next[i]!]))
        try {
          return await device.download(logits!)
        } finally {
          device.free(logits!)
        }
      } catch (error) {
        // a call that fails early leaves them unchanged
        if (![...caches.values()].every(device.isHeld)) forget()
        throw error
      } finally {
        freeAll([ids, start, ...read.values()])
      }
    },
    dispose: forget,
  }
}

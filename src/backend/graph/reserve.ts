import { integer, type Buffers, type Define } from './entry.ts'
import { after } from './library.ts'
import { integerInput, single } from './source.ts'

const bytesPerPart = 2 ** 20

/**
 * Takes memory in one piece, and gives it back before anything is written to it. TensorFlow's allocator keeps for
 * itself what it once had of the system, in regions that double: what is held then lies side by side in one of them. In
 * several, each with gaps, the largest values of a step would need yet another, and the allocator's own table of it is
 * 3% of its size.
 */
export const defineReserve = (define: Define): void => {
  define('reserve', { parts: integerInput }, single, ({ body }, { parts }) => {
    const sizes = body.apply('Pack', [parts!, body.constant(bytesPerPart / 4, 'i32')])
    return {
      done: after(body, body.constant(0, 'i32'), [
        body.apply('Empty', [sizes], { dtype: { type: 'f32' }, init: { bool: false } }),
      ]),
    }
  })
}

/** What is asked of it, for so many bytes. */
export const reserved = (bytes: number): Buffers => ({ parts: integer(Math.ceil(bytes / bytesPerPart)) })

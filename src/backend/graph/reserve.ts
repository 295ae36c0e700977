import { integer, type Buffers, type Define } from './entry.ts'
import { after } from './library.ts'
import { integerInput, single } from './source.ts'

const bytesPerPart = 2 ** 20

/**
 * Allocates memory in one piece, and frees it before anything is written to it. TensorFlow's allocator keeps the memory
 * that it once got from the system, in regions of doubling size, so the weights and state then lie next to each other
 * in one region. In several regions, each with gaps, the largest values of a step would need yet another one, and the
 * allocator's own table takes 3% of a region's size.
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

/** The feeds of `reserve` for a number of bytes. */
export const reserved = (bytes: number): Buffers => ({ parts: integer(Math.ceil(bytes / bytesPerPart)) })

import * as fc from 'fast-check'
import type { Dim, Shape } from '../../src/tensor/shape/index.ts'

/** Dims that meet often, so that rules succeed about as often as they fail. */
export const dim: fc.Arbitrary<Dim> = fc.constantFrom('a', 'b', 'c', 1, 2, 3, 6, 'a*b', '2*a', 'a*2')
export const shapes = (maxLength = 4, element = dim): fc.Arbitrary<Shape> => fc.array(element, { maxLength })
/** An axis of a rank up to 3, some out of range. */
export const axis = fc.integer({ min: -4, max: 3 })
/** Sizes for the names of {@link dim}. */
export const environment = fc.record({
  a: fc.integer({ min: 1, max: 9 }),
  b: fc.integer({ min: 1, max: 9 }),
  c: fc.integer({ min: 1, max: 9 }),
})

import { noDims } from '../facets.ts'
import { node, ShapeMismatch, typed, type Op, type Tensor } from '../node.ts'
import { composite } from '../op/composite.ts'
import { type RandomKey, type RandomStream } from '../op/random-bits.ts'
import type { Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

/** The probability of dropping an element, in [0, 1). */
export interface DropoutAttributes {
  readonly rate: number
}

const twoTo32 = 2 ** 32

/**
 * The least random word, as a signed integer, of an element that is kept.
 * @throws {ShapeMismatch} if the rate is not in [0, 1)
 */
export const leastKept = (rate: number): number => {
  if (!(rate >= 0 && rate < 1)) throw new ShapeMismatch(`the rate is at least 0 and below 1, not ${rate}`)
  return Math.min(Math.round(rate * twoTo32), twoTo32 - 1) - twoTo32 / 2
}
/** The factor of a kept element, which preserves the expectation. */
export const keptScale = (rate: number): number => 1 / (1 - rate)

/**
 * (x, key[3], stream[1]) => x / (1 - rate) if an element is kept, 0 if it is dropped (Srivastava et al. 2014). The key
 * and the stream determine which are kept, so the vjp draws again, and nothing is stored for it.
 */
export const dropoutOp: Op<DropoutAttributes> = composite<DropoutAttributes>({
  name: 'dropout',
  kind: 'other',
  dims: noDims,
  expand: ([x, key, stream], { rate }) => {
    const least = u.constant(leastKept(rate), [], 'i32')
    const kept = u.lessEqual(least, u.randomBits(key!, stream!, x!.shape))
    return u.select(kept, u.mul(x!, keptScale(rate)), 0)
  },
  vjp: ({ inputs: [, key, stream], attributes }, dy) => [
    node(dropoutOp, [dy, key!, stream!], attributes),
    undefined,
    undefined,
  ],
  cheap: true,
})

/**
 * (A, key[3], stream[1]) => A: marks a factor of a product x · A whose input x is dropped out during training, because
 * a weight cannot express dropout of its input. When nothing is trained, it is A.
 */
export const inputDropoutOp: Op<DropoutAttributes> = composite<DropoutAttributes>({
  name: 'inputDropout',
  kind: 'movement',
  dims: noDims,
  expand: ([a]) => a!,
  vjp: (_, dy) => [dy, undefined, undefined],
  cheap: true,
})

/**
 * Dropout as a function of a key: x / (1 − rate) if an element is kept, 0 if it is dropped (Srivastava et al. 2014).
 * The shape is unchanged, and equal keys and streams drop the same elements on every target.
 * @throws {ShapeMismatch} for a rate outside [0, 1)
 * @example dropout(x, key, stream, { rate: 0.1 })
 */
export const dropout = <S extends Shape>(
  x: Tensor<S>,
  key: RandomKey,
  stream: RandomStream,
  { rate }: DropoutAttributes,
): Tensor<S> => typed(node(dropoutOp, [x, key, stream], { rate }))

/**
 * Marks a factor A of a product x · A whose input x is dropped out during training; otherwise it is A.
 * @example matmul(x, inputDropout(A, key, stream, { rate: 0.1 }))
 */
export const inputDropout = <S extends Shape>(
  a: Tensor<S>,
  key: RandomKey,
  stream: RandomStream,
  { rate }: DropoutAttributes,
): Tensor<S> => typed(node(inputDropoutOp, [a, key, stream], { rate }))

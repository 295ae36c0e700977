import { noDims } from '../facets.ts'
import { is, node, ShapeMismatch, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite } from '../op/composite.ts'
import { placeholderOp } from '../op/placeholder.ts'
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
  autograd: { saves: ({ inputs: [x] }) => [{ own: 'mask', shape: x!.shape }] },
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
 * (x, key[3], stream[1]) => x: marks what is dropped out during training, and is x if nothing is trained. Its vjp marks
 * the cotangent, so that the same elements are dropped there.
 */
export const trainingDropoutOp: Op<DropoutAttributes> = composite<DropoutAttributes>({
  name: 'trainingDropout',
  kind: 'movement',
  dims: noDims,
  refuses: (_, { rate }) => {
    leastKept(rate)
    return undefined
  },
  expand: ([x]) => x!,
  vjp: ({ inputs: [, key, stream], attributes }, dy) => [
    node(trainingDropoutOp, [dy, key!, stream!], attributes),
    undefined,
    undefined,
  ],
  cheap: true,
})

/** The key of what a model drops out during training: a session feeds it. */
export const trainingKey: RandomKey = typed(node(placeholderOp, [], { shape: [3], dtype: 'i32', draws: 'key' }))

/** Tests for a stream of what a model drops out during training: a session numbers them. */
export const isTrainingStream = (n: Node): boolean => is(n, placeholderOp) && n.attributes.draws === 'stream'

/**
 * Dropout (Srivastava et al. 2014): x / (1 − rate) if an element is kept, 0 if it is dropped; the shape is unchanged.
 *
 * With a rate alone, a session draws: its training steps drop, and nothing else does. Every call drops elements of its
 * own, also in every layer that `repeat` makes, and every micro-batch others; a `scan` over time drops the same in every
 * step. `trainStep` takes the seed.
 *
 * With a key and a stream it is a function of them, wherever it is computed: equal keys and streams drop the same
 * elements on every target.
 * @throws {ShapeMismatch} for a rate outside [0, 1)
 * @example dropout(x, 0.1)
 */
export function dropout<S extends Shape>(x: Tensor<S>, rate: number): Tensor<S>
export function dropout<S extends Shape>(
  x: Tensor<S>,
  key: RandomKey,
  stream: RandomStream,
  { rate }: DropoutAttributes,
): Tensor<S>
export function dropout<S extends Shape>(
  x: Tensor<S>,
  rateOrKey: number | RandomKey,
  stream?: RandomStream,
  attributes?: DropoutAttributes,
): Tensor<S> {
  if (typeof rateOrKey !== 'number') return typed(node(dropoutOp, [x, rateOrKey, stream!], attributes!))
  const own = node(placeholderOp, [], { shape: [1], dtype: 'i32', draws: 'stream' })
  return typed(node(trainingDropoutOp, [x, trainingKey, own], { rate: rateOrKey }))
}

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

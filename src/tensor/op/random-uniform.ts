import { node, type Node, type Op } from '../node.ts'
import type { Shape } from '../shape/index.ts'
import { drawing, type RandomBitsAttributes } from './random-bits.ts'

/** The number in [0, 1) of a random word: its upper 24 bits, which float32 holds exactly. */
export const uniformOf = (word: number): number => ((word >> 8) + 2 ** 23) * 2 ** -24

/**
 * (key[3], stream[1]) => numbers in [0, 1) in steps of 2^-24, uniformly distributed, from the random words of the key
 * and the stream; the same on every target. No gradient flows back.
 */
export const randomUniformOp: Op<RandomBitsAttributes> = drawing('randomUniform', 'f32', uniformOf)

/** The untyped verb of uniform numbers. */
export const uniforms = {
  randomUniform: (key: Node, stream: Node, shape: Shape): Node => node(randomUniformOp, [key, stream], { shape }),
}

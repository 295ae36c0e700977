import * as E from '../../either/index.ts'
import { fitsByShape, node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { inOnePiece, isSmooth } from '../facets.ts'
import { randomWords } from '../random.ts'
import { checkShape, type Shape, type ShapeFault } from '../shape/index.ts'
import { count } from '../value.ts'

/** The shape of the draw. */
export interface RandomBitsAttributes {
  readonly shape: Shape
}

/**
 * The key of a draw: the lower and the upper 32 bits of a seed, and the number of the draw. A stream number
 * distinguishes the users of a key.
 */
export type RandomKey = Tensor<readonly [3], 'i32'>
export type RandomStream = Tensor<readonly [1], 'i32'>

const isVector = (x: Node, n: number): boolean => x.dtype === 'i32' && x.shape.length === 1 && x.shape[0] === n

/** A primitive that draws a number of a shape from every random word of a key and a stream. */
export const drawing = (
  name: string,
  dtype: 'i32' | 'f32',
  numberOf: (word: number) => number,
): Op<RandomBitsAttributes> => ({
  name,
  shape: ([key, stream], { shape }) =>
    !isVector(key!, 3)
      ? E.left(`${name}: the key is ${key!.dtype} [${key!.shape.join(', ')}], not i32 [3]`)
      : !isVector(stream!, 1)
        ? E.left(`${name}: the stream is ${stream!.dtype} [${stream!.shape.join(', ')}], not i32 [1]`)
        : E.map(checkShape(shape), () => ({ shape, dtype })),
  misfit: fitsByShape,
  eval: ([key, stream], _, { sizes }) => {
    const [seedLow = 0, seedHigh = 0, draw = 0] = key!.data
    const words = randomWords({ seedLow, seedHigh, draw, stream: stream!.data[0]! }, count(sizes))
    return { sizes, data: Float64Array.from(words, numberOf) }
  },
  vjp: () => [],
  flops: () => 0,
  kind: 'other',
  along: inOnePiece,
  dims: ({ shape }) => shape,
  smooth: isSmooth,
  cheap: true,
})

/**
 * (key[3], stream[1]) => random words of a shape, in order: Philox 4x32-10 (see `randomWords`), the same bits on every
 * target. No gradient flows back.
 */
export const randomBitsOp: Op<RandomBitsAttributes> = drawing('randomBits', 'i32', word => word)

/** The untyped verb of random words. */
export const draws = {
  randomBits: (key: Node, stream: Node, shape: Shape): Node => node(randomBitsOp, [key, stream], { shape }),
}

/** Random 32-bit words, uniform over all int32. @example randomBits(key, stream, ['batch', 'hidden']) */
export const randomBits = <const S extends Shape>(
  key: RandomKey,
  stream: RandomStream,
  shape: S & ShapeFault<S>,
): Tensor<Readonly<S>, 'i32'> => typed(draws.randomBits(key, stream, shape))

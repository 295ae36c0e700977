import { keptScale, leastKept, wordsPurpose, type DropoutAttributes } from '../../tensor/index.ts'
import type { Anchor, Body, Ref } from './body.ts'
import type { GraphLowering } from './lowering.ts'
import { shapeOf } from './sizes.ts'

/** TensorFlow's number for Philox 4x32-10. */
const philoxAlgorithm = 1

/** Pairs of i32 as u64, the lower half first. */
const pairs = (body: Body, x: Ref, n: number): Ref =>
  body.apply('Bitcast', [body.apply('Reshape', [x, body.constant([n, 2], 'i32')])], { type: { type: 'u64' } })
const part = (body: Body, x: Ref, begin: number, length: number): Ref =>
  body.apply('Slice', [x, body.constant([begin], 'i32'), body.constant([length], 'i32')])

/**
 * A position in TensorFlow's random stream: the generator's key, and the counter of its first block, which counts up in
 * its first word.
 */
interface Philox {
  readonly key: Ref
  readonly counter: Ref
}
const philoxOf = (body: Body, key: Ref, stream: Ref): Philox => ({
  key: pairs(body, part(body, key, 0, 2), 1),
  counter: pairs(
    body,
    body.apply('ConcatV2', [
      body.constant([0, wordsPurpose], 'i32'),
      part(body, key, 2, 1),
      stream,
      body.constant(0, 'i32'),
    ]),
    2,
  ),
})
const words = (body: Body, { key, counter }: Philox, shape: Ref, after: readonly Anchor[] = []): Ref =>
  body.apply(
    'StatelessRandomUniformFullIntV2',
    [shape, key, counter, body.constant(philoxAlgorithm, 'i32')],
    { dtype: { type: 'i32' } },
    { control: after },
  )

/** Random words: TensorFlow's own Philox gives the language's bits. */
export const randomBits: GraphLowering = ({ shape }, [key, stream], emit) =>
  words(emit.body, philoxOf(emit.body, key!, stream!), shapeOf(shape, emit))

/**
 * Dropout. Compiled, it draws the words where it uses them and keeps none. Op by op, the words are not drawn before the
 * input is ready. XLA's Philox gives the same words.
 */
export const dropout: GraphLowering = (node, [x, key, stream], { body, kernel }) => {
  const { rate } = node.attributes as DropoutAttributes
  const { type } = x!
  const write = (into: Body, [value, k, s]: readonly Ref[]): Ref => {
    const drawn = words(into, philoxOf(into, k!, s!), into.apply('Shape', [value!]), [value!])
    const kept = into.apply('LessEqual', [into.constant(leastKept(rate), 'i32'), drawn])
    const scaled = into.apply('Mul', [into.cast(value!, 'f32'), into.constant(keptScale(rate), 'f32')])
    return into.cast(into.apply('SelectV2', [kept, scaled, into.constant(0, 'f32')]), type)
  }
  return kernel ? kernel('dropout', [x!, key!, stream!], write) : write(body, [x!, key!, stream!])
}

/** Uniform numbers: the upper 24 bits of the words. */
export const randomUniform: GraphLowering = (node, inputs, emit) => {
  const { body } = emit
  const upper = body.apply('RightShift', [randomBits(node, inputs, emit), body.constant(8, 'i32')])
  const whole = body.apply('AddV2', [upper, body.constant(2 ** 23, 'i32')])
  return body.apply('Mul', [body.cast(whole, 'f32'), body.constant(2 ** -24, 'f32')])
}

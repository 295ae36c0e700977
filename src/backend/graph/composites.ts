import type { composites, Node } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import { convolutions } from './convolutions.ts'
import type { GraphLowering, GraphLowerings, Kernel } from './lowering.ts'
import { computed, counted, primitiveLowerings } from './primitives.ts'
import { dropout } from './random.ts'

/** The size of an axis, read from the value itself, so that a function needs no argument for it. */
const sizeOfAxis = (body: Body, x: Ref, axis: number): Ref =>
  body.apply('GatherV2', [body.apply('Shape', [x]), ...[axis, 0].map(at => body.constant(at, 'i32'))])

/**
 * Computes a row in f32 and rounds its result once. TensorFlow's own Softmax of a 16-bit type does so only on
 * processors with AVX-512; on others it rounds every sum, and a probability is off by up to 5%.
 */
const softmax: GraphLowering = (_, [x], emit) => emit.cast(emit.body.apply('Softmax', [computed(x!, emit)]), x!.type)

/** The score that the op's definition gives a masked key. f16 cannot represent it. */
const masked = -1e30

/** Masks the scores of keys after the query's own position, which is its index plus `offset`. */
const causallyMasked =
  (rank: number) =>
  (body: Body, [x, offset]: readonly Ref[]): Ref => {
    const positions = body.apply('AddV2', [counted(body, sizeOfAxis(body, x!, rank - 2)), offset!])
    const visible = body.apply('LessEqual', [
      counted(body, sizeOfAxis(body, x!, rank - 1)),
      body.apply('ExpandDims', [positions, body.constant(1, 'i32')]),
    ])
    return body.apply('SelectV2', [visible, x!, body.cast(body.constant(masked, 'f32'), x!.type)])
  }

const causalSoftmax: GraphLowering = (node, [scores, offset], emit) => {
  const { body, kernel = inline(body) } = emit
  // in f32, as `softmax` is; f16 cannot represent the score of a masked key either
  const visible = kernel('mask', [computed(scores!, emit), offset!], causallyMasked(node.shape.length))
  return emit.cast(body.apply('Softmax', [visible]), scores!.type)
}

/** Writes the ops one by one, if nothing compiles them to a kernel. */
const inline =
  (body: Body): Kernel =>
  (_, inputs, write) =>
    write(body, inputs)

/** One element of every row. */
const picked = (body: Body, x: Ref, labels: Ref, rank: number): Ref =>
  body.apply('GatherV2', [x, labels, body.constant(rank, 'i32')], { batch_dims: { int: rank } })

/**
 * Computes the loss in f32, whatever the type of the logits: from 16-bit probabilities it would be wrong by some 0.2%.
 */
const crossEntropy: GraphLowering = (node, [logits, labels], emit) => {
  const { body, kernel } = emit
  const { length } = node.shape
  if (kernel === undefined)
    return body.apply('Neg', [picked(body, body.apply('LogSoftmax', [computed(logits!, emit)]), labels!, length)])
  // compiled by XLA, an invalid label would silently be read as its nearest valid one
  const checked = body.apply('GatherV2', [
    counted(body, sizeOfAxis(body, logits!, length)),
    labels!,
    body.constant(0, 'i32'),
  ])
  // as a kernel, it reads the logits and keeps nothing of their size
  return kernel('crossEntropy', [logits!, checked], (into, [x, of]) => {
    const wide = into.cast(x!, 'f32')
    const last = into.constant([length], 'i32')
    const top = into.apply('Max', [wide, last], { keep_dims: { bool: true } })
    const total = into.apply('Log', [into.apply('Sum', [into.apply('Exp', [into.apply('Sub', [wide, top])]), last])])
    const highest = into.apply('Max', [wide, last])
    return into.apply('Sub', [into.apply('AddV2', [total, highest]), into.cast(picked(into, x!, of!, length), 'f32')])
  })
}

/** Computes in f32, as `softmax` does: 1 is subtracted at the labels, and every row is multiplied by its dy. */
const crossEntropyGrad: GraphLowering = (node, [logits, labels, dy], emit) => {
  const { body, kernel = inline(body) } = emit
  const probabilities = body.apply('Softmax', [computed(logits!, emit)])
  return kernel('crossEntropyGrad', [probabilities, labels!, dy!], (into, [p, of, d]) => {
    const { type } = logits!
    const number = (value: number): Ref => into.constant(value, 'i32')
    const isLabel = into.apply('Equal', [
      counted(into, sizeOfAxis(into, p!, node.shape.length - 1)),
      into.apply('ExpandDims', [of!, number(-1)]),
    ])
    const difference = into.apply('Sub', [p!, into.cast(isLabel, 'f32')])
    return into.cast(
      into.apply('Mul', [difference, into.apply('ExpandDims', [into.cast(d!, 'f32'), number(-1)])]),
      type,
    )
  })
}

/**
 * Computes in f32, so the squares of a 16-bit matrix are never rounded. It uses TensorFlow's own ops, which use all
 * threads: as one XLA kernel, which goes through a column element by element, a step of DoRA takes 5% longer.
 */
const sumOfSquares: GraphLowering = (node, [x], { body }) => {
  const { axes, keepDims } = node.attributes as { readonly axes: readonly number[]; readonly keepDims: boolean }
  const wide = body.cast(x!, 'f32')
  return body.apply('Sum', [body.apply('Mul', [wide, wide]), body.constant(axes, 'i32')], {
    keep_dims: { bool: keepDims },
  })
}

/** The composites that TensorFlow computes better than their expansions. */
const compositeLowerings: { readonly [K in keyof typeof composites]?: GraphLowering } = {
  softmax,
  causalSoftmax,
  crossEntropy,
  crossEntropyGrad,
  dropout,
  inputDropout: (_, [a]) => a!,
  sumOfSquares,
  conv: convolutions.conv,
  convInput: convolutions.convInput,
  convFilter: convolutions.convFilter,
}

/** The lowering of every op of the language. */
export const graphLowerings: GraphLowerings = { ...primitiveLowerings, ...compositeLowerings }

/**
 * Tests for nodes that a kernel over rows may contain; a composite with operations of its own is written with those.
 */
export const isFusible = ({ op: { name, expand } }: Node): boolean =>
  expand === undefined || !Object.hasOwn(graphLowerings, name)

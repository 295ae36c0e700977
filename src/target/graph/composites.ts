import type { composites } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { GraphLowering, GraphLowerings } from './lowering.ts'
import { computed, counted, primitiveLowerings, reshapedTo } from './primitives.ts'
import { vectorOf, type Size } from './sizes.ts'

/** The size of an axis as the value itself tells it, so that a function needs no argument for it. */
const sizeOfAxis = (body: Body, x: Ref, axis: number): Ref => body.apply('StridedSlice', [
  body.apply('Shape', [x]), ...[axis, axis + 1, 1].map(at => body.constant([at], 'i32')),
], { shrink_axis_mask: { int: 1 } })

/** TensorFlow's Softmax computes a row of a 16-bit type in f32 and rounds its result once. */
const softmax: GraphLowering = (_, [x], { body }) => body.apply('Softmax', [x!])

/** What the op's definition puts where a query may not look. f16 cannot hold it. */
const masked = -1e30

const causalSoftmax: GraphLowering = (node, [scores, offset], emit) => {
  const { body, size } = emit, rank = node.shape.length, x = scores!.type === 'f16' ? computed(scores!, emit) : scores!
  const sizeAt = (axis: number): Size => { const of = size(node.shape[axis]!); return typeof of === 'number' ? of : sizeOfAxis(body, x, axis) }
  const positions = body.apply('AddV2', [counted(body, sizeAt(rank - 2)), offset!])
  const visible = body.apply('LessEqual', [counted(body, sizeAt(rank - 1)), body.apply('ExpandDims', [positions, body.constant(1, 'i32')])])
  return emit.cast(body.apply('Softmax', [body.apply('SelectV2', [visible, x, body.cast(body.constant(masked, 'f32'), x.type)])]), scores!.type)
}

/** The loss in f32 from f32 logits: from 16-bit probabilities it would be wrong by some 0.2%. */
const crossEntropy: GraphLowering = (node, [logits, labels], emit) => {
  const { body } = emit, { length } = node.shape
  const picked = body.apply('GatherV2', [body.apply('LogSoftmax', [computed(logits!, emit)]), labels!, body.constant(length, 'i32')], { batch_dims: { int: length } })
  return body.apply('Neg', [picked])
}

/** In the type of the logits: 1 is subtracted at the labels where the probabilities lie. */
const crossEntropyGrad: GraphLowering = (node, [logits, labels, dy], emit) => {
  const { body, size, cast } = emit, { type } = logits!
  const rows = (x: Ref, last: Size): Ref => body.apply('Reshape', [x, vectorOf(body, [-1, last])])
  const flat = body.apply('Reshape', [labels!, body.constant([-1], 'i32')]), n = body.apply('Size', [flat])
  const places = body.apply('Pack', [body.apply('Range', [body.constant(0, 'i32'), n, body.constant(1, 'i32')]), flat], { axis: { int: 1 } })
  const ones = body.apply('Fill', [body.apply('Shape', [flat]), cast(body.constant(1, 'f32'), type)])
  const probabilities = body.apply('Softmax', [rows(logits!, size(node.shape.at(-1)!))])
  const difference = body.apply('TensorScatterSub', [probabilities, places, ones])
  return reshapedTo(body.apply('Mul', [difference, rows(cast(dy!, type), 1)]), node.shape, emit)
}

const compositeLowerings: { readonly [K in keyof typeof composites]: GraphLowering | 'expand' } = {
  softmax, causalSoftmax, crossEntropy, crossEntropyGrad,
  softmaxGrad: 'expand', rmsNorm: 'expand', rmsNormGrad: 'expand', rope: 'expand', silu: 'expand', siluGrad: 'expand', gelu: 'expand',
}

/** How a graph has every op of the language. */
export const graphLowerings: GraphLowerings = { ...primitiveLowerings, ...compositeLowerings }

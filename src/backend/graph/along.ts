import { product, type Node, type Shape } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Emit, GraphLowering } from './lowering.ts'
import { sizeRef, vectorOf, type Size } from './sizes.ts'
import { isFloat } from './types.ts'

/** Ops along one axis, whose rows do not follow from each other: TensorFlow runs them along the last axis. */

/** The attributes of a node whose op is known from the key in the table. */
const attributesOf = <A>(node: Node): A => node.attributes as A
interface OnAxis {
  readonly axis: number
}

/** Applies a function of the last axis to another axis: the two axes are swapped before and after. */
const onLastAxis = (
  body: Body,
  { length }: Shape,
  axis: number,
  operands: readonly Ref[],
  f: (operands: readonly Ref[]) => Ref,
): Ref => {
  const last = length - 1
  if (axis === last) return f(operands)
  const swap = Array.from({ length }, (_, i) => (i === axis ? last : i === last ? axis : i))
  const swapped = (x: Ref): Ref => body.apply('Transpose', [x, body.constant(swap, 'i32')])
  return swapped(f(operands.map(swapped)))
}

/** Elements of each row at indices of their own. TensorFlow refuses an index beyond the row. */
export const takeAlong: GraphLowering = (node, operands, { body }) =>
  onLastAxis(body, node.shape, attributesOf<OnAxis>(node).axis, operands, ([x, index]) => {
    const last = node.shape.length - 1
    return body.apply('GatherV2', [x!, index!, body.constant(last, 'i32')], { batch_dims: { int: last } })
  })

/** The size of all dims together. */
const sizeOfAll = (shape: Shape, { size }: Pick<Emit, 'size'>): Size => {
  const all = product(shape)
  if (all._tag === 'Left') throw new Error(all.left)
  return size(all.right)
}

/** Adds up in f32: an index may occur several times. A place is its row and its index in it. */
export const scatterAlong: GraphLowering = (node, [index, x], emit) => {
  const { body } = emit
  const { axis } = attributesOf<OnAxis>(node)
  const integer = (value: number): Ref => body.constant(value, 'i32')
  const shape = node.inputs[0]!.shape
  const last = node.shape.length - 1
  const swapped = node.shape.with(axis, node.shape[last]!).with(last, node.shape[axis]!)
  const flat = (of: Ref): Ref => body.apply('Reshape', [of, body.constant([-1], 'i32')])
  return onLastAxis(body, node.shape, axis, [index!, isFloat(x!.type) ? emit.cast(x!, 'f32') : x!], ([at, added]) => {
    const elements = body.apply('Range', [integer(0), sizeRef(body, sizeOfAll(shape, emit)), integer(1)])
    const rows = body.apply('FloorDiv', [elements, sizeRef(body, emit.size(shape[axis]!))])
    const places = body.apply('Pack', [rows, flat(at!)], { axis: { int: 1 } })
    const sizes = vectorOf(body, [sizeOfAll(swapped.slice(0, -1), emit), emit.size(swapped[last]!)])
    const sums = body.apply('ScatterNd', [places, flat(added!), sizes])
    return body.apply('Reshape', [sums, vectorOf(body, swapped.map(emit.size))])
  })
}

/**
 * Integers in the order of reals, NaN being the largest and −0 equal to 0: the bits of a number, whose magnitude is
 * negated if the number is negative.
 */
const keysOf = (x: Ref, body: Body): Ref => {
  const integer = (value: number): Ref => body.constant(value, 'i32')
  const bits = body.apply('Bitcast', [x], { type: { type: 'i32' } })
  const magnitude = body.apply('BitwiseAnd', [bits, integer(2 ** 31 - 1)])
  const isNegative = body.apply('Less', [bits, integer(0)])
  const keys = body.apply('SelectV2', [isNegative, body.apply('Neg', [magnitude]), bits])
  return body.apply('SelectV2', [body.apply('NotEqual', [x, x]), integer(2 ** 31 - 1), keys])
}

/**
 * The places of elements in their order. TensorFlow keeps the order of equal elements, but only of numbers that are
 * ordered, so reals are compared as integers.
 */
export const argsort: GraphLowering = (node, [x], emit) => {
  const { body } = emit
  const { axis, descending } = attributesOf<OnAxis & { readonly descending: boolean }>(node)
  const keys = isFloat(x!.type) ? keysOf(emit.cast(x!, 'f32'), body) : x!
  // −1 − k turns the order around without overflow
  const largestFirst = descending ? keys : body.apply('Sub', [body.constant(-1, 'i32'), keys])
  return onLastAxis(
    body,
    node.shape,
    axis,
    [largestFirst],
    ([rows]) => body.add('TopKV2', [rows!, sizeRef(body, emit.size(node.shape[axis]!))]).outputs[1]!,
  )
}

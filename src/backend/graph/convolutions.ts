import { windowsOn, type ConvAttributes, type Dim, type Node, type WindowAttributes } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Emit, GraphLowering } from './lowering.ts'
import type { Attributes, OperationName } from './operations.ts'
import { shapeOf, sizeRef, vectorOf, type Size } from './sizes.ts'
import { isFloat } from './types.ts'

const attributesOf = <A>(node: Node): A => node.attributes as A
const inF32 = (x: Ref, { cast }: Emit): Ref => (isFloat(x.type) ? cast(x, 'f32') : x)

/** Integer arithmetic on sizes that may be known only when the graph runs. */
const arithmetic = (body: Body) => {
  const apply =
    (operation: OperationName, f: (a: number, b: number) => number) =>
    (a: Size, b: Size): Size =>
      typeof a === 'number' && typeof b === 'number'
        ? f(a, b)
        : body.apply(operation, [sizeRef(body, a), sizeRef(body, b)])
  return {
    add: apply('AddV2', (a, b) => a + b),
    sub: apply('Sub', (a, b) => a - b),
    mul: apply('Mul', (a, b) => a * b),
    max: apply('Maximum', Math.max),
    half: (a: Size): Size => apply('FloorDiv', (n, m) => Math.floor(n / m))(a, 2),
  }
}

/** The windows of a node on an axis, with sizes that may be known only when the graph runs. */
const windowsIn = (
  { size, ...steps }: WindowAttributes,
  [n, windows]: readonly [Dim, Dim],
  emit: Emit,
): { readonly count: Size; readonly places: Size; readonly before: Size; readonly after: Size } => {
  const { add, half, max, mul, sub } = arithmetic(emit.body)
  const [count, places, whole] = [windows, size, n].map(emit.size) as [Size, Size, Size]
  if (steps.padding !== 'same') {
    const { before, after } = windowsOn(1, 1, steps)
    return { count, places, before, after }
  }
  const reach = add(mul(sub(places, 1), steps.dilation), 1)
  const total = max(sub(add(mul(sub(count, 1), steps.stride), reach), whole), 0)
  const before = half(total)
  return { count, places, before, after: sub(total, before) }
}

/** The place of every place of every window in the padded axis: `[windows, places]`. */
const placesIn = (body: Body, { stride, dilation }: WindowAttributes, count: Size, places: Size): Ref => {
  const steps = (n: Size, step: number): Ref =>
    body.apply('Mul', [
      body.apply('Range', [body.constant(0, 'i32'), sizeRef(body, n), body.constant(1, 'i32')]),
      body.constant(step, 'i32'),
    ])
  return body.apply('AddV2', [
    body.apply('ExpandDims', [steps(count, stride), body.constant(1, 'i32')]),
    steps(places, dilation),
  ])
}

const windows: GraphLowering = (node, [x], emit) => {
  const attributes = attributesOf<WindowAttributes & { readonly value: number }>(node)
  const { axis, value } = attributes
  const { body } = emit
  const { shape } = node.inputs[0]!
  const { count, places, before, after } = windowsIn(attributes, [shape[axis]!, node.shape[axis]!], emit)
  const paddings = vectorOf(
    body,
    shape.flatMap((_, i) => (i === axis ? [before, after] : [0, 0])),
  )
  const isPadded = before !== 0 || after !== 0
  const padded = isPadded
    ? body.apply('PadV2', [
        x!,
        body.apply('Reshape', [paddings, body.constant([shape.length, 2], 'i32')]),
        body.cast(body.constant(value, 'f32'), x!.type),
      ])
    : x!
  return body.apply('GatherV2', [padded, placesIn(body, attributes, count, places), body.constant(axis, 'i32')])
}

/** A sum in f32: windows overlap. */
const fold: GraphLowering = (node, [x], emit) => {
  const attributes = attributesOf<WindowAttributes>(node)
  const { axis } = attributes
  const { body } = emit
  const { add } = arithmetic(body)
  const given = node.inputs[0]!.shape
  const { count, places, before, after } = windowsIn(attributes, [node.shape[axis]!, given[axis]!], emit)
  const others = node.shape.flatMap((_, i) => (i === axis ? [] : [i]))
  const permuted = (of: Ref, permutation: readonly number[]): Ref =>
    permutation.every((from, to) => from === to) ? of : body.apply('Transpose', [of, body.constant(permutation, 'i32')])
  const first = permuted(inF32(x!, emit), [axis, axis + 1, ...others.map(i => (i < axis ? i : i + 1))])
  const whole = emit.size(node.shape[axis]!)
  const rest = others.map(i => emit.size(node.shape[i]!))
  const summed = body.apply('ScatterNd', [
    body.apply('ExpandDims', [placesIn(body, attributes, count, places), body.constant(2, 'i32')]),
    first,
    vectorOf(body, [add(add(before, whole), after), ...rest]),
  ])
  const isPadded = before !== 0 || after !== 0
  const cut = isPadded
    ? body.apply('Slice', [
        summed,
        vectorOf(body, [before, ...rest.map(() => 0)]),
        vectorOf(body, [whole, ...rest.map(() => -1)]),
      ])
    : summed
  return permuted(
    cut,
    node.shape.map((_, i) => (i === axis ? 0 : others.indexOf(i) + 1)),
  )
}

/**
 * The attributes of TensorFlow's convolutions, or `undefined` if it has none with this geometry. Padding by numbers that
 * keep the size is written as SAME: the gradients of padding by numbers take up to three times as long.
 */
const geometryOf = ({ stride, padding, depthwise }: ConvAttributes, weight: Node): Attributes | undefined => {
  const strides = { ints: [1, ...stride, 1] }
  if (depthwise && stride[0] !== stride[1]) return undefined
  const isSame = ([0, 1] as const).map(i => {
    const size = weight.shape[i]
    const p = padding[i]
    if (p === 'same' || typeof size !== 'number' || stride[i] !== 1) return p === 'same'
    const { before, after } = windowsOn(1, 1, { stride: 1, dilation: 1, padding: p })
    return before === Math.floor((size - 1) / 2) && before + after === size - 1
  })
  if (isSame.every(Boolean)) return { strides, padding: { text: 'SAME' } }
  if (padding.includes('same')) return undefined
  const around = ([0, 1] as const).flatMap(i => {
    const { before, after } = windowsOn(1, 1, { stride: 1, dilation: 1, padding: padding[i] })
    return [before, after]
  })
  return around.every(n => n === 0)
    ? { strides, padding: { text: 'VALID' } }
    : { strides, padding: { text: 'EXPLICIT' }, explicit_paddings: { ints: [0, 0, ...around, 0, 0] } }
}

/** A kernel of TensorFlow in f32, or the expansion if there is none. */
const kernel =
  (
    write: (node: Node, inputs: readonly Ref[], emit: Emit, geometry: Attributes) => Ref,
    weightOf = ({ inputs: [, weight] }: Node): Node => weight!,
  ): GraphLowering =>
  (node, inputs, emit) => {
    const geometry = geometryOf(attributesOf<ConvAttributes>(node), weightOf(node))
    return geometry === undefined
      ? emit.expand(node.op.expand!(node.inputs, node.attributes), inputs)
      : write(
          node,
          inputs.map(x => inF32(x, emit)),
          emit,
          geometry,
        )
  }
const isDepthwise = (node: Node): boolean => attributesOf<ConvAttributes>(node).depthwise
/** A weight of single channels as TensorFlow has it, with a last axis of size 1. */
const filterOf = (node: Node, w: Ref, { body }: Emit): Ref =>
  isDepthwise(node) ? body.apply('ExpandDims', [w, body.constant(3, 'i32')]) : w

/** The convolutions that TensorFlow has kernels for. */
export const convolutions = {
  windows,
  fold,
  conv: kernel((node, [x, w], emit, geometry) =>
    emit.body.apply(isDepthwise(node) ? 'DepthwiseConv2dNative' : 'Conv2D', [x!, filterOf(node, w!, emit)], geometry),
  ),
  convInput: kernel((node, [dy, w], emit, geometry) =>
    emit.body.apply(
      isDepthwise(node) ? 'DepthwiseConv2dNativeBackpropInput' : 'Conv2DBackpropInput',
      [shapeOf(node.shape, emit), filterOf(node, w!, emit), dy!],
      geometry,
    ),
  ),
  convFilter: kernel(
    (node, [x, dy], emit, geometry) => {
      const { body } = emit
      if (!isDepthwise(node)) return body.apply('Conv2DBackpropFilter', [x!, shapeOf(node.shape, emit), dy!], geometry)
      const made = body.apply(
        'DepthwiseConv2dNativeBackpropFilter',
        [x!, shapeOf([...node.shape, 1], emit), dy!],
        geometry,
      )
      return body.apply('Reshape', [made, shapeOf(node.shape, emit)])
    },
    node => node,
  ),
} as const satisfies Readonly<Record<string, GraphLowering>>

/** Tests for convolutions and their gradients, which are composites of windows. */
export const isConvolution = ({ op }: Node): boolean => op.expand !== undefined && Object.hasOwn(convolutions, op.name)

import { isMatrixProduct, laidOut } from '../../compile/index.ts'
import {
  is,
  mulOp,
  placeholder,
  scatterAddOp,
  substitute,
  withInputs,
  type Axes,
  type Contraction,
  type Cumulation,
  type Dim,
  type DType,
  type Node,
  type primitives,
  type Shape,
} from '../../tensor/index.ts'
import { argsort, scatterAlong, takeAlong } from './along.ts'
import type { Body, Ref } from './body.ts'
import type { Emit, GraphLowering } from './lowering.ts'
import type { OperationName } from './operations.ts'
import { convolutions } from './convolutions.ts'
import { dequantize } from './dequantize.ts'
import { power, quotient, remainder, truncated } from './integers.ts'
import { randomBits, randomUniform } from './random.ts'
import { shapeOf, sizeRef, sumOfSizes, vectorOf, type Size } from './sizes.ts'
import { isFloat } from './types.ts'

/** The attributes of a node whose op is known from the key in the table. */
const attributesOf = <A>(node: Node): A => node.attributes as A

/** A value to compute with: floats as f32, everything else unchanged. */
export const computed = (x: Ref, { cast }: Pick<Emit, 'cast'>): Ref => (isFloat(x.type) ? cast(x, 'f32') : x)
/** Values in one type: their common type, or f32 if they are different floats. */
const alike = (inputs: readonly Ref[], { cast }: Emit): readonly Ref[] => {
  const [first] = inputs
  return inputs.every(x => x.type === first!.type) ? inputs : inputs.map(x => cast(x, 'f32'))
}

const elementwise =
  (operation: OperationName): GraphLowering =>
  (_, inputs, emit) =>
    emit.body.apply(
      operation,
      inputs.map(x => computed(x, emit)),
    )
const reduction =
  (operation: OperationName): GraphLowering =>
  (node, [x], emit) => {
    const { axes, keepDims } = attributesOf<Axes>(node)
    return emit.body.apply(operation, [computed(x!, emit), emit.body.constant(axes, 'i32')], {
      keep_dims: { bool: keepDims },
    })
  }
/** A sum; the sum of all squares takes one pass over the value, and allocates nothing of its size. */
const sum: GraphLowering = (node, inputs, emit) => {
  const { axes, keepDims } = attributesOf<Axes>(node)
  const [squares] = node.inputs as readonly [Node]
  const [x, y] = squares.inputs
  const value =
    is(squares, mulOp) && x === y && !keepDims && axes.length === squares.shape.length && axes.length > 0
      ? emit.valueOf(x!)
      : undefined
  return value
    ? emit.body.apply('Mul', [emit.body.apply('L2Loss', [computed(value, emit)]), emit.body.constant(2, 'f32')])
    : reduction('Sum')(node, inputs, emit)
}
/** Adds; x + scatterAdd(index, rows) adds the rows to x in place, if nothing else reads x. */
const add: GraphLowering = (node, inputs, emit) => {
  const at = node.inputs.findIndex(input => is(input, scatterAddOp) && input.attributes.axis === 0)
  const scattered = node.inputs[at]
  const x = node.inputs[1 - at]
  const [index, rows] = (scattered?.inputs ?? []).map(emit.valueOf)
  if (!index || !rows || x!.shape.join() !== scattered!.shape.join()) return elementwise('AddV2')(node, inputs, emit)
  return emit.body.apply('TensorScatterAdd', [
    computed(inputs[1 - at]!, emit),
    column(emit.body, index),
    computed(rows, emit),
  ])
}
/** One lowering for floats, another for integers. */
const byType =
  (operation: OperationName, integers: (a: Ref, b: Ref, body: Body) => Ref): GraphLowering =>
  (node, [a, b], emit) =>
    isFloat(a!.type) ? elementwise(operation)(node, [a!, b!], emit) : integers(a!, b!, emit.body)

/**
 * The maximum or minimum, which is NaN if an operand is. TensorFlow's own kernels agree with this, but not those that
 * XLA compiles.
 */
const extreme =
  (operation: 'Maximum' | 'Minimum'): GraphLowering =>
  (_, inputs, emit) => {
    const { body, compiled } = emit
    const [a, b] = inputs.map(x => computed(x, emit)) as [Ref, Ref]
    const plain = body.apply(operation, [a, b])
    if (!compiled || !isFloat(a.type)) return plain
    return [a, b].reduce((y, x) => body.apply('SelectV2', [body.apply('NotEqual', [x, x]), x, y]), plain)
  }
const extremeOver =
  (operation: 'Max' | 'Min'): GraphLowering =>
  (node, inputs, emit) => {
    const plain = reduction(operation)(node, inputs, emit)
    if (!emit.compiled || !isFloat(inputs[0]!.type)) return plain
    const { axes, keepDims } = attributesOf<Axes>(node)
    const { body } = emit
    const x = computed(inputs[0]!, emit)
    const odd = body.apply('Any', [body.apply('NotEqual', [x, x]), body.constant(axes, 'i32')], {
      keep_dims: { bool: keepDims },
    })
    return body.apply('SelectV2', [odd, body.constant(Number.NaN, 'f32'), plain])
  }
/** A sum or product up to each place. */
const cumulation =
  (operation: 'Cumsum' | 'Cumprod'): GraphLowering =>
  (node, [x], emit) => {
    const { axis, exclusive, reverse } = attributesOf<Cumulation>(node)
    return emit.body.apply(operation, [computed(x!, emit), emit.body.constant(axis, 'i32')], {
      exclusive: { bool: exclusive },
      reverse: { bool: reverse },
    })
  }
const impossible: GraphLowering = ({ op }) => {
  throw new Error(`${op.name} is no node of a graph`)
}

/** The same data with other sizes. */
const reshapedTo = (x: Ref, shape: Shape, { body, size }: Emit): Ref => {
  const sizes = shape.map(size)
  const unknown = sizes.filter(of => typeof of !== 'number')
  // a single size that is not known here follows from the others
  return body.apply('Reshape', [
    x,
    vectorOf(body, unknown.length === 1 ? sizes.map(of => (typeof of === 'number' ? of : -1)) : sizes),
  ])
}
const permuted = (body: Body, x: Ref, permutation: readonly number[]): Ref =>
  body.apply('Transpose', [x, body.constant(permutation, 'i32')])
/** Applies a function of the first axis to another axis: the two axes are swapped before and after. */
const onFirstAxis = (
  body: Body,
  { shape: { length } }: Node,
  axis: number,
  operands: readonly Ref[],
  f: (operands: readonly Ref[]) => Ref,
): Ref => {
  const swap = Array.from({ length }, (_, i) => (i === axis ? 0 : i === 0 ? axis : i))
  return axis === 0 ? f(operands) : permuted(body, f(operands.map(x => permuted(body, x, swap))), swap)
}
/** An index in the form that scatters need: `[n, 1]`. */
const column = (body: Body, index: Ref): Ref => body.apply('ExpandDims', [index, body.constant(1, 'i32')])

interface Part {
  readonly axis: number
  readonly start: Shape
  readonly dim: Dim
}
const startOf = ({ start }: Part, { body, size }: Emit): Size => sumOfSizes(body, start.map(size))
/** A size at an axis, and another elsewhere. */
const atAxis = ({ shape }: Node, { axis }: Part, at: Size, elsewhere: number): readonly Size[] =>
  shape.map((_, i) => (i === axis ? at : elsewhere))

/** The assumed value of an unknown size, when operands are weighed to choose which one to transpose. */
const typicalSize = 256
const weight =
  ({ size }: Emit) =>
  (dim: Dim): number => {
    const known = size(dim)
    return typeof known === 'number' ? known : typicalSize
  }

/** A contraction: a matrix product is written directly, any other is first laid out as one. */
const contract: GraphLowering = (node, inputs, emit) => {
  const { a, b, out } = attributesOf<Contraction>(node)
  const operands = inputs.map(x => emit.cast(x, emit.compute))
  // laid out for leaves: the rule would look through an operand that is a reshape, to what has no value here
  const leaves = node.inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
  const laid = isMatrixProduct({ a, b, out })
    ? undefined
    : laidOut.apply(withInputs(node, leaves), {
        size: weight(emit),
        isStatic: () => false,
        isWeight: () => false,
        readOnce: () => true,
      })
  const given = new Map(leaves.map((leaf, i) => [leaf, node.inputs[i]!]))
  if (laid) return emit.expand(substitute([laid], given)[0]!, operands)
  const left = { bool: a.endsWith('km') }
  const right = { bool: b.endsWith('nk') }
  return out.length === 2
    ? emit.body.apply('MatMul', operands, { transpose_a: left, transpose_b: right })
    : emit.body.apply('BatchMatMulV2', operands, { adj_x: left, adj_y: right })
}

/** 0, 1, 2, … in i32. */
export const counted = (body: Body, size: Size): Ref =>
  body.apply('Range', [body.constant(0, 'i32'), sizeRef(body, size), body.constant(1, 'i32')])

const constant: GraphLowering = (node, _, { body, size }) => {
  const { value, shape, dtype } = attributesOf<{
    readonly value: number | readonly number[]
    readonly shape: Shape
    readonly dtype: DType
  }>(node)
  const type = dtype === 'i32' || dtype === 'bool' ? dtype : 'f32'
  if (typeof value !== 'number') return body.constant(value, type)
  const scalar = body.constant(value, type)
  return shape.length === 0 ? scalar : body.apply('Fill', [shapeOf(shape, { body, size }), scalar])
}

/** The lowerings of the language's primitives. */
export const primitiveLowerings: { readonly [K in keyof typeof primitives]: GraphLowering } = {
  parameter: impossible,
  call: impossible,
  loop: impossible,
  result: impossible,
  constant,
  size: (node, _, { body, size }) => {
    const product = attributesOf<{ readonly dims: Shape }>(node)
      .dims.map(size)
      .reduce<Size>(
        (a, b) =>
          typeof a === 'number' && typeof b === 'number'
            ? a * b
            : body.apply('Mul', [sizeRef(body, a), sizeRef(body, b)]),
        1,
      )
    return typeof product === 'number' ? body.constant(product, 'f32') : body.cast(product, 'f32')
  },
  iota: (node, _, { body, size, cast }) => cast(counted(body, size(node.shape[0]!)), node.dtype),
  add,
  sub: elementwise('Sub'),
  mul: elementwise('Mul'),
  div: byType('RealDiv', quotient),
  pow: byType('Pow', power),
  maximum: extreme('Maximum'),
  minimum: extreme('Minimum'),
  equal: elementwise('Equal'),
  notEqual: elementwise('NotEqual'),
  less: elementwise('Less'),
  lessEqual: elementwise('LessEqual'),
  greater: elementwise('Greater'),
  greaterEqual: elementwise('GreaterEqual'),
  and: elementwise('LogicalAnd'),
  or: elementwise('LogicalOr'),
  not: elementwise('LogicalNot'),
  neg: elementwise('Neg'),
  exp: elementwise('Exp'),
  log: elementwise('Log'),
  sqrt: elementwise('Sqrt'),
  rsqrt: elementwise('Rsqrt'),
  tanh: elementwise('Tanh'),
  sigmoid: elementwise('Sigmoid'),
  abs: elementwise('Abs'),
  sign: elementwise('Sign'),
  sin: elementwise('Sin'),
  cos: elementwise('Cos'),
  erf: elementwise('Erf'),
  floor: elementwise('Floor'),
  round: elementwise('Rint'),
  tan: elementwise('Tan'),
  asin: elementwise('Asin'),
  acos: elementwise('Acos'),
  atan: elementwise('Atan'),
  sinh: elementwise('Sinh'),
  cosh: elementwise('Cosh'),
  asinh: elementwise('Asinh'),
  acosh: elementwise('Acosh'),
  atanh: elementwise('Atanh'),
  log1p: elementwise('Log1p'),
  expm1: elementwise('Expm1'),
  atan2: elementwise('Atan2'),
  remainder: byType('FloorMod', remainder),
  select: (_, [condition, ...branches], emit) => emit.body.apply('SelectV2', [condition!, ...alike(branches, emit)]),
  stopGradient: (_, [x]) => x!,
  // a float that is stored in 16 bits already is a float
  cast: ({ dtype }, [x], emit) =>
    isFloat(x!.type) && isFloat(dtype)
      ? x!
      : isFloat(x!.type) && dtype === 'i32'
        ? truncated(emit.cast(x!, 'f32'), emit.body)
        : emit.cast(x!, dtype),
  sum,
  max: extremeOver('Max'),
  min: extremeOver('Min'),
  prod: reduction('Prod'),
  cumsum: cumulation('Cumsum'),
  cumprod: cumulation('Cumprod'),
  broadcastTo: ({ shape }, [x], emit) => emit.body.apply('BroadcastTo', [x!, shapeOf(shape, emit)]),
  reshape: ({ shape }, [x], emit) => reshapedTo(x!, shape, emit),
  transpose: (node, [x], { body }) => {
    const { permutation } = attributesOf<{ readonly permutation: readonly number[] }>(node)
    // of truth values, oneDNN writes on stderr that it transposes them only on some processors
    return x!.type === 'bool'
      ? body.cast(permuted(body, body.cast(x!, 'f32'), permutation), 'bool')
      : permuted(body, x!, permutation)
  },
  contract,
  take: (node, [x, index], { body }) =>
    body.apply('GatherV2', [x!, index!, body.constant(attributesOf<Part>(node).axis, 'i32')]),
  // a sum in f32: an index may name a slice several times
  scatterAdd: (node, [index, x], emit) => {
    const { body } = emit
    const { axis } = attributesOf<Part>(node)
    const sizes = node.shape.map(emit.size)
    const swapped = sizes.map((_, i) => sizes[i === 0 ? axis : i === axis ? 0 : i]!)
    return onFirstAxis(body, node, axis, [computed(x!, emit)], ([updates]) =>
      body.apply('ScatterNd', [column(body, index!), updates!, vectorOf(body, swapped)]),
    )
  },
  put: (node, [x, index, values], emit) =>
    onFirstAxis(emit.body, node, attributesOf<Part>(node).axis, alike([x!, values!], emit), ([tensor, updates]) =>
      emit.body.apply('TensorScatterUpdate', [tensor!, column(emit.body, index!), updates!]),
    ),
  takeAlong,
  scatterAlong,
  argsort,
  pick: (node, [x, index], { body }) => {
    const { length } = node.shape
    return body.apply('GatherV2', [x!, index!, body.constant(length, 'i32')], { batch_dims: { int: length } })
  },
  randomBits,
  randomUniform,
  dequantize,
  oneHot: (node, [index], { body, size }) =>
    body.apply(
      'OneHot',
      [index!, sizeRef(body, size(node.shape.at(-1)!)), body.constant(1, 'f32'), body.constant(0, 'f32')],
      { axis: { int: -1 } },
    ),
  nonzero: (node, [x], { body, size, cast }) => {
    const capacity = vectorOf(body, node.shape.map(size))
    const found = body.apply('Where', [cast(x!, 'bool')])
    const positions = body.cast(body.apply('Reshape', [found, body.constant([-1], 'i32')]), 'i32')
    const zeros = body.apply('Fill', [capacity, body.constant(0, 'i32')])
    return body.apply('Slice', [
      body.apply('ConcatV2', [positions, zeros, body.constant(0, 'i32')]),
      body.constant([0], 'i32'),
      capacity,
    ])
  },
  slice: (node, [x], emit) => {
    const part = attributesOf<Part>(node)
    const { body } = emit
    // a size of -1 means all that is left
    return body.apply('Slice', [
      x!,
      vectorOf(body, atAxis(node, part, startOf(part, emit), 0)),
      vectorOf(body, atAxis(node, part, emit.size(part.dim), -1)),
    ])
  },
  pad: (node, [x], emit) => {
    const part = attributesOf<Part>(node)
    const { body, size } = emit
    const before = startOf(part, emit)
    const used = sumOfSizes(body, [before, size(node.inputs[0]!.shape[part.axis]!)])
    const whole = size(part.dim)
    const left =
      typeof used === 'number' && typeof whole === 'number'
        ? whole - used
        : body.apply('Sub', [sizeRef(body, whole), sizeRef(body, used)])
    const paddings = vectorOf(
      body,
      node.shape.flatMap((_, i) => (i === part.axis ? [before, left] : [0, 0])),
    )
    return body.apply('Pad', [x!, body.apply('Reshape', [paddings, body.constant([node.shape.length, 2], 'i32')])])
  },
  windows: convolutions.windows,
  fold: convolutions.fold,
  concat: (node, inputs, emit) =>
    inputs.length === 1
      ? inputs[0]!
      : emit.body.apply('ConcatV2', [...alike(inputs, emit), emit.body.constant(attributesOf<Part>(node).axis, 'i32')]),
}

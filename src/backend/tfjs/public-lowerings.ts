import {
  outside,
  startOf,
  type Axes,
  type Contraction,
  type Cumulation,
  type DType,
  type Numbers,
  type Shape,
} from '../../tensor/index.ts'
import { SessionError } from '../device.ts'
import { meant } from '../meant.ts'
import { alongLowerings } from './along.ts'
import { publicConvolutions } from './public-convolutions.ts'
import { attributesOf, type Call, type Kernels, type Lowering, type Lowerings, type Run } from './lowering.ts'
import type { TensorInfo } from './wasm/index.ts'

const arrayOf = (data: Float64Array, dtype: DType): Float32Array | Int32Array | Uint8Array =>
  dtype === 'i32' ? Int32Array.from(data) : dtype === 'bool' ? Uint8Array.from(data) : Float32Array.from(data)

/** A fact about the kernel TensorScatterUpdate of a backend. */
export interface Scattering {
  /** True if it leaves its operand unchanged; that of tfjs's cpu backend writes into it. */
  readonly copiesToScatter?: boolean
}

/** An op's own float64 meaning, on the host. */
export const hostLowering =
  ({ make }: Pick<Kernels, 'make'>): Lowering =>
  ({ node, inputs: slots, output: { sizes, dtype }, size }) => ({
    reads: slots.map((_, i) => i),
    run: values => {
      const numbers = values.map((x, i): Numbers => ({ sizes: slots[i]!.sizes, data: Float64Array.from(x) }))
      return make(arrayOf(meant(node, numbers, { sizes, size }).data, dtype), sizes, dtype)
    },
  })

/**
 * The lowerings for any tfjs backend, by its public kernels. Where there is none, and for data-dependent ops on small
 * integers, the op's own meaning runs on the host. Composites are expanded.
 */
export const publicLowerings = (kernels: Kernels, { copiesToScatter = false }: Scattering = {}): Lowerings => {
  const { run, free } = kernels
  const onHost = hostLowering(kernels)
  const kernel =
    (name: string, names: readonly string[], attributes: (call: Call) => object = () => ({})) =>
    (call: Call): Run => {
      const given = attributes(call)
      return inputs => run(name, Object.fromEntries(names.map((n, i) => [n, inputs[i]])), given)
    }
  const unary = (name: string): Lowering => kernel(name, ['x'])
  const binary = (name: string): Lowering => kernel(name, ['a', 'b'])
  const reduction = (name: string, axesName: string): Lowering =>
    kernel(name, ['x'], ({ node }) => {
      const { axes, keepDims } = attributesOf<Axes>(node)
      return { [axesName]: axes, keepDims }
    })
  const cumulation = (name: string): Lowering =>
    kernel(name, ['x'], ({ node }) => {
      const { axis, exclusive, reverse } = attributesOf<Cumulation>(node)
      return { axis, exclusive, reverse }
    })
  const converted = kernel('Cast', ['x'], ({ output: { dtype } }) => ({ dtype: dtype === 'i32' ? 'int32' : 'float32' }))
  const axisOf = (call: Call): number => attributesOf<{ readonly axis: number }>(call.node).axis
  const beginOf = (call: Call): number => startOf(attributesOf<{ readonly start: Shape }>(call.node).start, call)
  const atAxis = (call: Call, at: number, rest: readonly number[]): readonly number[] =>
    rest.map((n, axis) => (axis === axisOf(call) ? at : n))
  /**
   * Restricts a lowering to float32: kernels for other dtypes do not exist on every backend, or differ from the op's
   * meaning.
   */
  const floats =
    (lowering: Lowering): Lowering =>
    call =>
      (call.inputs.every(({ dtype }) => dtype === 'f32') ? lowering : onHost)(call)
  const impossible: Lowering = ({ node }) => {
    throw new Error(`${node.op.name} is no instruction`)
  }
  /** Checks the index, the second input, for a kernel that does not check it itself. */
  const indexed =
    (lowering: (call: Call) => Run): Lowering =>
    call => {
      const run = lowering(call)
      const {
        inputs: [x],
        node: { op },
      } = call
      const below = x!.sizes[axisOf(call)]!
      return {
        reads: [1],
        run: ([index], inputs, into) => {
          const wrong = outside(index!, below)
          if (wrong !== undefined) throw new SessionError(`${op.name}: ${wrong}`)
          return run(inputs, into)
        },
      }
    }
  /** Repeats along axes of size 1, by tfjs's Tile. */
  const tiled = (x: TensorInfo, from: readonly number[], to: readonly number[]): TensorInfo => {
    const padded = [...to.slice(0, to.length - from.length).map(() => 1), ...from]
    const reshaped = run('Reshape', { x }, { shape: padded })
    const reps = to.map((n, axis) => (padded[axis] === n ? 1 : n))
    const result = run('Tile', { x: reshaped }, { reps })
    free(reshaped)
    return result
  }
  const selected: Lowering =
    ({ inputs: slots, output: { sizes } }) =>
    inputs => {
      const [condition, t, e] = inputs.map((x, i) => tiled(x, slots[i]!.sizes, sizes))
      const result = run('Select', { condition, t, e })
      for (const x of [condition!, t!, e!]) free(x)
      return result
    }
  /** Replaces rows. */
  const scattered =
    ({ inputs: [, index] }: Call): Run =>
    ([tensor, at, updates]) => {
      const indices = run('Reshape', { x: at }, { shape: [...index!.sizes, 1] })
      const result = run('TensorScatterUpdate', { tensor, indices, updates })
      free(indices)
      return result
    }
  return {
    parameter: impossible,
    call: impossible,
    loop: impossible,
    result: impossible,
    reshape: impossible,
    constant: onHost,
    size: onHost,
    iota: onHost,
    oneHot: onHost,
    pick: onHost,
    nonzero: onHost,
    scatterAdd: onHost,
    ...alongLowerings(kernels.make, onHost),
    randomBits: onHost,
    randomUniform: onHost,
    dequantize: onHost,
    put: call => (axisOf(call) === 0 && copiesToScatter ? indexed(scattered) : onHost)(call),
    add: binary('Add'),
    sub: binary('Sub'),
    mul: floats(binary('Multiply')),
    div: floats(binary('RealDiv')),
    pow: onHost,
    maximum: binary('Maximum'),
    minimum: binary('Minimum'),
    equal: binary('Equal'),
    notEqual: binary('NotEqual'),
    less: binary('Less'),
    lessEqual: binary('LessEqual'),
    greater: binary('Greater'),
    greaterEqual: binary('GreaterEqual'),
    and: binary('LogicalAnd'),
    or: binary('LogicalOr'),
    not: unary('LogicalNot'),
    // tfjs's Select reads truth values as words on wasm
    select: call => (call.output.dtype === 'bool' ? onHost : selected)(call),
    neg: floats(unary('Neg')),
    exp: unary('Exp'),
    log: unary('Log'),
    sqrt: unary('Sqrt'),
    rsqrt: unary('Rsqrt'),
    tanh: unary('Tanh'),
    sigmoid: unary('Sigmoid'),
    // tfjs's Abs on cpu returns a tensor that it has counted itself
    abs: onHost,
    sign: onHost,
    sin: unary('Sin'),
    cos: unary('Cos'),
    erf: onHost,
    floor: unary('Floor'),
    round: unary('Round'),
    tan: unary('Tan'),
    asin: unary('Asin'),
    acos: unary('Acos'),
    atan: unary('Atan'),
    sinh: unary('Sinh'),
    cosh: unary('Cosh'),
    asinh: unary('Asinh'),
    acosh: unary('Acosh'),
    atanh: unary('Atanh'),
    log1p: unary('Log1p'),
    expm1: unary('Expm1'),
    atan2: binary('Atan2'),
    remainder: onHost,
    stopGradient: unary('Identity'),
    // tfjs's Cast to bool keeps numbers other than 0 and 1 on wasm; for casts to integers, out-of-range numbers differ
    // between backends
    cast: call => (call.output.dtype === 'f32' ? converted : onHost)(call),
    sum: reduction('Sum', 'axis'),
    max: reduction('Max', 'reductionIndices'),
    min: reduction('Min', 'axis'),
    prod: floats(reduction('Prod', 'axis')),
    cumsum: floats(cumulation('Cumsum')),
    cumprod: cumulation('Cumprod'),
    broadcastTo:
      ({ inputs: [slot], output: { sizes } }) =>
      ([x]) =>
        tiled(x!, slot!.sizes, sizes),
    transpose: kernel('Transpose', ['x'], ({ node }) => ({
      perm: attributesOf<{ readonly permutation: readonly number[] }>(node).permutation,
    })),
    contract: ({ node, inputs: [left, right], output: { sizes } }) => {
      const { a, b } = attributesOf<Contraction>(node)
      const three = (s: readonly number[]): readonly number[] => (s.length === 2 ? [1, ...s] : s)
      const attributes = { transposeA: a.endsWith('km'), transposeB: b.endsWith('nk') }
      return ([x, y]) => {
        const l = run('Reshape', { x }, { shape: three(left!.sizes) })
        const r = run('Reshape', { x: y }, { shape: three(right!.sizes) })
        const product = run('BatchMatMul', { a: l, b: r }, attributes)
        const result = run('Reshape', { x: product }, { shape: sizes })
        for (const made of [l, r, product]) free(made)
        return result
      }
    },
    take: indexed(kernel('GatherV2', ['x', 'indices'], call => ({ axis: axisOf(call), batchDims: 0 }))),
    slice: call => {
      const begin = atAxis(
        call,
        beginOf(call),
        call.output.sizes.map(() => 0),
      )
      return ([x]) => run('Slice', { x }, { begin, size: call.output.sizes })
    },
    pad: call => {
      const before = beginOf(call)
      const axis = axisOf(call)
      const after = call.output.sizes[axis]! - before - call.inputs[0]!.sizes[axis]!
      const paddings = call.output.sizes.map((_, i) => (i === axis ? [before, after] : [0, 0]))
      return ([x]) => run('PadV2', { x }, { paddings, constantValue: 0 })
    },
    concat: call => {
      const axis = axisOf(call)
      return inputs => (inputs.length === 1 ? run('Identity', { x: inputs[0] }) : run('Concat', [...inputs], { axis }))
    },
    ...publicConvolutions(kernels, onHost),
    softmax: kernel('Softmax', ['logits'], () => ({ dim: -1 })),
  }
}

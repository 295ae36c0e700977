import { mostInputs, type Slot } from '../../compile/index.ts'
import {
  around,
  count,
  keptScale,
  leastKept,
  outside,
  startOf,
  type Axes,
  type Contraction,
  type DropoutAttributes,
  type DType,
  type Shape,
} from '../../tensor/index.ts'
import { SessionError } from '../device.ts'
import { convolutionPlans } from './heap-convolutions.ts'
import { dequantizing } from './heap-dequantize.ts'
import { fillUniform } from './heap-random.ts'
import { alongAxis, normOf, rowPlans, rowsOf, type OnHeap } from './heap-rows.ts'
import { isStep, planSteps, stepAlone } from './heap-steps.ts'
import {
  attributesOf,
  tfjsDType,
  writingInto,
  type Call,
  type Lowering,
  type Lowerings,
  type TfjsDType,
} from './lowering.ts'
import {
  planBinary,
  planPermute,
  planRepeat,
  type BinaryKernel,
  type Heap,
  type TensorInfo,
  type WasmRuntime,
} from './wasm/index.ts'

/** The inputs whose buffers can hold the result: a kernel reads an element, or a whole row, before it writes it. */
const any = [0, 1]
const first = [0]
/** All inputs that steps may have. */
const positions = Array.from({ length: mostInputs }, (_, i) => i)

/** The table with steps, which are no op of the language. */
export type HeapLowerings = Lowerings & { readonly steps: Lowering }

/** Makes a buffer on the heap. @throws {SessionError} if the heap is full */
export const allocateOn = (heap: Heap, sizes: readonly number[], dtype: DType): TensorInfo => {
  const made = heap.allocate(sizes, tfjsDType[dtype as TfjsDType])
  if (made._tag === 'Left') throw new SessionError(made.left.message)
  return made.right
}

/**
 * The lowerings for tfjs's wasm heap: products and kernels of our own, tfjs's public kernels for the rest, and the host
 * for ops that neither has.
 */
export const heapLowerings = (
  { backend, heap, kernels, products, steps, scratch: program }: WasmRuntime,
  publicly: Lowerings,
  onHost: Lowering,
): { readonly lowerings: HeapLowerings; readonly freeScratch: () => void } => {
  /** A lowering that fills a buffer. */
  const filling =
    (plan: (call: Call) => OnHeap): Lowering =>
    call => {
      const run = plan(call)
      const { sizes, dtype } = call.output
      return (inputs, into) => {
        // the result is allocated first: growth may move views, never offsets
        const made = into ?? allocateOn(heap, sizes, dtype)
        try {
          run(inputs.map(heap.offset), heap.offset(made))
        } catch (error) {
          if (made !== into) backend.disposeData(made.dataId)
          throw error
        }
        return made
      }
    }
  /** A lowering that can fill the buffer of an input. */
  const overwriting = (inPlace: readonly number[], plan: (call: Call) => OnHeap): Lowering =>
    writingInto(inPlace, filling(plan))
  /** Restricts a plan to float32; other dtypes are small and rare, and use the public kernels. */
  const floats =
    (plan: (call: Call) => OnHeap, otherwise: Lowering): Lowering =>
    call =>
      (call.inputs.every(({ dtype }) => dtype === 'f32') ? filling(plan) : otherwise)(call)
  const map = (kernel: (input: number, output: number, n: number) => void, otherwise: Lowering): Lowering =>
    writingInto(
      first,
      floats(({ output: { sizes } }) => {
        const n = count(sizes)
        return ([x], out) => kernel(x!, out, n)
      }, otherwise),
    )
  const binary = (kernel: BinaryKernel, otherwise: Lowering): Lowering =>
    writingInto(
      any,
      floats(({ inputs: [a, b] }) => {
        const run = planBinary(kernel, a!.sizes, b!.sizes)
        return ([x, y], out) => run(x!, y!, out)
      }, otherwise),
    )

  /** Scratch memory that lives as long as the backend: row statistics of norms, parts of sums, some windows of a convolution. */
  let scratch: TensorInfo | undefined
  const scratchFor = (rows: number): number => {
    if (scratch === undefined || scratch.shape[0]! < rows) {
      if (scratch !== undefined) backend.disposeData(scratch.dataId)
      scratch = allocateOn(heap, [Math.max(rows, 4096)], 'f32')
    }
    return heap.offset(scratch)
  }
  const stepsPlan = (call: Call): OnHeap => planSteps(call, { heap, steps, scratch: program, scratchFor })
  /** Runs an op by the kernel of steps, if it computes the op for such operands. */
  const stepping =
    (otherwise: Lowering): Lowering =>
    call => {
      const run = isStep(call.node) ? stepsPlan(call) : undefined
      return (run ? filling(() => run) : otherwise)(call)
    }
  const joined = overwriting(positions, stepsPlan)

  /** Restricts a plan to elements of four bytes, of any meaning. A truth value is one byte. */
  const words =
    (plan: (call: Call) => OnHeap, otherwise: Lowering): Lowering =>
    call =>
      (call.output.dtype === 'bool' ? otherwise : filling(plan))(call)
  /** Restricts a plan to adjacent axes. */
  const reduction =
    (otherwise: Lowering, plan: (x: Slot, axes: readonly number[]) => OnHeap | undefined): Lowering =>
    call => {
      const [x] = call.inputs
      const { axes } = attributesOf<Axes>(call.node)
      const run = x!.dtype === 'f32' && axes.every((axis, i) => axis === axes[0]! + i) ? plan(x!, axes) : undefined
      return run ? filling(() => run)(call) : otherwise(call)
    }
  const checkIndex = (index: number, n: number, size: number, op: string): void => {
    const wrong = kernels.firstOutOfRange(index, n, size)
    if (wrong >= 0) throw new SessionError(`${op}: ${outside([heap.views().i32[index / 4 + wrong]!], size)!}`)
  }
  const rows = rowPlans(kernels)
  const convolutions = convolutionPlans(kernels, products, scratchFor)

  const put = (call: Call): OnHeap => {
    const { axis } = attributesOf<{ readonly axis: number }>(call.node)
    const [x, , values] = call.inputs
    const move = alongAxis(values!.sizes, x!.sizes, axis, x!.sizes, kernels.putRows, kernels.putColumns)
    return ([, index, v], out) => {
      checkIndex(index!, values!.sizes[axis]!, x!.sizes[axis]!, 'put')
      move(v!, index!, out)
    }
  }

  const lowerings: HeapLowerings = {
    ...publicly,
    steps: joined,
    add: binary(kernels.add, publicly.add),
    sub: binary(kernels.sub, publicly.sub),
    mul: binary(kernels.mul, publicly.mul),
    div: binary(kernels.div, publicly.div),
    maximum: binary(kernels.max, publicly.maximum),
    minimum: binary(kernels.min, publicly.minimum),
    ...stepAlone(publicly, stepping),
    neg: map(kernels.neg, publicly.neg),
    exp: map(kernels.exp, publicly.exp),
    log: map(kernels.log, publicly.log),
    // that of tfjs takes the logarithm of 1 + x after rounding it
    log1p: map(kernels.log1p, publicly.log1p),
    sqrt: map(kernels.sqrt, publicly.sqrt),
    rsqrt: map(kernels.rsqrt, publicly.rsqrt),
    tanh: map(kernels.tanh, publicly.tanh),
    sigmoid: map(kernels.sigmoid, publicly.sigmoid),
    abs: map(kernels.abs, publicly.abs),
    erf: map(kernels.erf, publicly.erf),
    sum: reduction(publicly.sum, ({ sizes }, axes) => {
      const first = axes[0] ?? 0
      const end = (axes.at(-1) ?? -1) + 1
      const outer = count(sizes.slice(0, first))
      const rows = count(sizes.slice(first, end))
      const inner = count(sizes.slice(end))
      return ([x], out) =>
        inner === 1 ? kernels.sumRows(x!, out, outer, rows) : kernels.sumColumns(x!, out, outer, rows, inner)
    }),
    max: reduction(publicly.max, ({ sizes }, axes) => {
      const first = axes[0] ?? 0
      const end = (axes.at(-1) ?? -1) + 1
      if (count(sizes.slice(end)) !== 1) return undefined
      const outer = count(sizes.slice(0, first))
      const rows = count(sizes.slice(first, end))
      return ([x], out) => kernels.maxRows(x!, out, outer, rows)
    }),
    broadcastTo: words(({ inputs: [x], output: { sizes } }) => {
      const run = planRepeat(kernels, x!.sizes, sizes)
      return ([from], out) => run(from!, out)
    }, publicly.broadcastTo),
    transpose: call => {
      const run = planPermute(
        kernels,
        call.inputs[0]!.sizes,
        attributesOf<{ readonly permutation: readonly number[] }>(call.node).permutation,
      )
      return (
        run
          ? floats(
              () =>
                ([x], out) =>
                  run(x!, out),
              publicly.transpose,
            )
          : publicly.transpose
      )(call)
    },
    contract: filling(({ node, inputs: [x], output }) => {
      const { a, b } = attributesOf<Contraction>(node)
      const [M, N] = output.sizes.slice(-2) as [number, number]
      const K = x!.sizes[a.indexOf('k')]!
      const options = { transposeLeft: a.endsWith('km'), transposeRight: b.endsWith('nk') }
      const batch = output.sizes.length === 3 ? output.sizes[0]! : 1
      return batch === 1
        ? ([left, right], out) => products.matmul(left!, right!, out, M, K, N, options)
        : ([left, right], out) => products.batchMatmul(left!, right!, out, batch, M, K, N, options)
    }),
    take: words(({ node, inputs: [x, index], output }) => {
      const { axis } = attributesOf<{ readonly axis: number }>(node)
      const n = index!.sizes[0]!
      const width = x!.sizes[axis]!
      const move = alongAxis(x!.sizes, output.sizes, axis, x!.sizes, kernels.takeRows, kernels.takeColumns)
      return ([from, i], out) => {
        checkIndex(i!, n, width, 'take')
        move(from!, i!, out)
      }
    }, onHost),
    scatterAdd: call =>
      (call.output.dtype === 'f32' ? filling : () => onHost)(({ node, inputs: [index, x], output }) => {
        const { axis } = attributesOf<{ readonly axis: number }>(node)
        const n = index!.sizes[0]!
        const elements = count(output.sizes)
        const move = alongAxis(
          x!.sizes,
          output.sizes,
          axis,
          output.sizes,
          kernels.scatterAddRows,
          kernels.scatterAddColumns,
        )
        return ([i, from], out) => {
          checkIndex(i!, n, output.sizes[axis]!, 'scatterAdd')
          kernels.fill(out, elements, 0)
          move(from!, i!, out)
        }
      })(call),
    put: writingInto(
      first,
      words(call => {
        const move = put(call)
        const n = count(call.output.sizes)
        return (at, out) => {
          if (at[0] !== out) kernels.copyBlocks(at[0]!, out, 1, n, 0, 0)
          move(at, out)
        }
      }, onHost),
    ),
    slice: words(({ node, inputs: [x], output, size }) => {
      const { axis, start } = attributesOf<{ readonly axis: number; readonly start: Shape }>(node)
      const [outer, , inner] = around(x!.sizes, axis)
      const begin = startOf(start, { size })
      const length = output.sizes[axis]! * inner
      return ([from], out) =>
        kernels.copyBlocks(from! + 4 * begin * inner, out, outer, length, x!.sizes[axis]! * inner, length)
    }, publicly.slice),
    pad: words(({ node, inputs: [x], output, size }) => {
      const { axis, start } = attributesOf<{ readonly axis: number; readonly start: Shape }>(node)
      const n = count(output.sizes)
      const [outer, , inner] = around(x!.sizes, axis)
      const begin = startOf(start, { size })
      const length = x!.sizes[axis]! * inner
      return ([from], out) => {
        kernels.fill(out, n, 0)
        kernels.copyBlocks(from!, out + 4 * begin * inner, outer, length, length, output.sizes[axis]! * inner)
      }
    }, publicly.pad),
    concat: words(({ node, inputs, output }) => {
      const { axis } = attributesOf<{ readonly axis: number }>(node)
      const [outer, , inner] = around(output.sizes, axis)
      const begins = inputs.map((_, i) => inputs.slice(0, i).reduce((sum, before) => sum + before.sizes[axis]!, 0))
      return (at, out) =>
        inputs.forEach(({ sizes }, i) =>
          kernels.copyBlocks(
            at[i]!,
            out + 4 * begins[i]! * inner,
            outer,
            sizes[axis]! * inner,
            sizes[axis]! * inner,
            output.sizes[axis]! * inner,
          ),
        )
    }, publicly.concat),

    windows: filling(convolutions.windows),
    fold: filling(convolutions.fold),
    conv: filling(convolutions.conv),
    convInput: filling(convolutions.convInput),
    convFilter: filling(convolutions.convFilter),

    dequantize: filling(call => dequantizing(call, { heap, kernels, scratchFor })),
    randomBits: filling(({ output: { sizes } }) => {
      const n = count(sizes)
      return ([key, stream], out) => kernels.randomBits(key!, stream!, out, n)
    }),
    randomUniform: filling(({ output: { sizes } }) => {
      const n = count(sizes)
      return (at, out) => fillUniform({ heap, kernels }, at, out, n)
    }),
    dropout: overwriting(first, ({ node, output: { sizes } }) => {
      const { rate } = attributesOf<DropoutAttributes>(node)
      const n = count(sizes)
      const least = leastKept(rate)
      const scale = keptScale(rate)
      return ([x, key, stream], out) => kernels.dropout(x!, key!, stream!, out, n, least, scale)
    }),
    softmax: overwriting(first, ({ output: { sizes } }) => {
      const [rows, columns] = rowsOf(sizes)
      return ([x], out) => kernels.softmax(x!, out, rows, columns, 1)
    }),
    softmaxGrad: overwriting(any, ({ output: { sizes } }) => {
      const [rows, columns] = rowsOf(sizes)
      return ([p, dp], out) => kernels.softmaxBackward(p!, dp!, out, rows, columns, 1)
    }),
    causalSoftmax: overwriting(first, ({ output: { sizes } }) => {
      const [rows, columns] = rowsOf(sizes)
      const queries = sizes.at(-2)!
      return ([scores, offset], out) =>
        kernels.softmaxCausal(scores!, out, rows, columns, 1, queries, heap.views().i32[offset! / 4]!)
    }),
    visibleSoftmax: overwriting(first, rows.visibleSoftmax),
    standardize: overwriting(first, rows.standardize),
    standardizeGrad: overwriting(any, rows.standardizeGrad),
    rmsNorm: filling(call => {
      const [rows, columns, epsilon] = normOf(call)
      return ([x, g], out) => kernels.rmsNorm(x!, g!, out, scratchFor(rows), rows, columns, epsilon)
    }),
    rmsNormGrad: filling(call => {
      const [rows, columns, epsilon] = normOf(call)
      return ([dy, x, g], out) => {
        // the rows' scales are recomputed rather than kept: one pass over x
        kernels.rmsNorm(x!, g!, out, scratchFor(rows), rows, columns, epsilon)
        kernels.rmsNormBackward(dy!, x!, g!, scratchFor(rows), out, rows, columns, 0)
      }
    }),
    rope: overwriting(first, ({ node, inputs: [, cos], output: { sizes } }) => {
      const [rows, columns] = rowsOf(sizes)
      const turn = attributesOf<{ readonly inverse: boolean }>(node).inverse ? kernels.ropeInverse : kernels.rope
      return ([x, c, s], out) => turn(x!, out, rows, columns, c!, s!, cos!.sizes[1]!, 1, sizes.at(-2)!, 0)
    }),
    silu: overwriting(first, ({ output: { sizes } }) => {
      const n = count(sizes)
      return ([x], out) => kernels.silu(x!, out, n)
    }),
    siluGrad: overwriting(any, ({ output: { sizes } }) => {
      const n = count(sizes)
      return ([dy, x], out) => kernels.siluBackward(dy!, x!, out, n)
    }),
    crossEntropy: filling(({ inputs: [logits] }) => {
      const [rows, columns] = rowsOf(logits!.sizes)
      return ([x, labels], out) => {
        checkIndex(labels!, rows, columns, 'crossEntropy')
        kernels.crossEntropy(x!, labels!, out, rows, columns)
      }
    }),
    crossEntropyGrad: overwriting(first, ({ inputs: [logits] }) => {
      const [rows, columns] = rowsOf(logits!.sizes)
      return ([x, labels, dy], out) => {
        checkIndex(labels!, rows, columns, 'crossEntropyGrad')
        kernels.crossEntropyGradient(x!, labels!, dy!, scratchFor(rows), out, rows, columns)
      }
    }),
  }
  return {
    lowerings,
    freeScratch: () => {
      if (scratch !== undefined) backend.disposeData(scratch.dataId)
      scratch = undefined
    },
  }
}

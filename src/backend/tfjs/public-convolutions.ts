import { windowsOn, type ConvAttributes, type WindowAttributes } from '../../tensor/index.ts'
import { attributesOf, type Call, type Kernels, type Lowering, type Run } from './lowering.ts'
import type { TensorInfo } from './wasm/index.ts'

type Paddings = readonly (readonly [before: number, after: number])[]

/**
 * Convolutions and windows by tfjs's public kernels. Zeros are written around an image before it is convolved, because
 * backends differ in the padding that their convolutions take; a result is then cut out of that of the padded image.
 */
export const publicConvolutions = (
  { run, make, free }: Kernels,
  onHost: Lowering,
): Readonly<Record<'windows' | 'fold' | 'conv' | 'convInput' | 'convFilter', Lowering>> => {
  /** A kernel on what another kernel made from the inputs, which is freed. */
  const between = (made: readonly TensorInfo[], kept: readonly TensorInfo[], result: TensorInfo): TensorInfo => {
    for (const x of made) if (!kept.includes(x)) free(x)
    return result
  }
  const padded = (x: TensorInfo, paddings: Paddings, constantValue = 0): TensorInfo =>
    paddings.every(([before, after]) => before === 0 && after === 0)
      ? x
      : run('PadV2', { x }, { paddings, constantValue })

  /** The padding of images, given their sizes and those of a kernel, and their sizes with it. */
  const frame = (call: Call, sizes: readonly number[], kernel: readonly number[]) => {
    const { stride, padding } = attributesOf<ConvAttributes>(call.node)
    const around = ([0, 1] as const).map((i): readonly [number, number] => {
      const { before, after } = windowsOn(sizes[i + 1]!, kernel[i]!, {
        stride: stride[i],
        dilation: 1,
        padding: padding[i],
      })
      return [before, after]
    })
    const paddings: Paddings = [[0, 0], ...around, [0, 0]]
    return { paddings, framed: sizes.map((n, i) => n + paddings[i]![0] + paddings[i]![1]) }
  }
  const attributes = ({ node }: Call) => ({
    strides: attributesOf<ConvAttributes>(node).stride,
    pad: 'valid',
    dataFormat: 'NHWC',
    dilations: [1, 1],
  })
  const isDepthwise = ({ node }: Call): boolean => attributesOf<ConvAttributes>(node).depthwise
  /** TensorFlow's kernels for single channels take equal strides only. */
  const supported =
    (lowering: Lowering): Lowering =>
    call => {
      const [rows, columns] = attributesOf<ConvAttributes>(call.node).stride
      return (isDepthwise(call) && rows !== columns ? onHost : lowering)(call)
    }
  /** A weight as tfjs has it: one of single channels has a last axis of size 1. */
  const filterSizes = (call: Call, sizes: readonly number[]): readonly number[] =>
    isDepthwise(call) ? [...sizes, 1] : sizes
  const filtered = (call: Call, filter: TensorInfo, sizes: readonly number[]): TensorInfo =>
    isDepthwise(call) ? run('Reshape', { x: filter }, { shape: [...sizes, 1] }) : filter

  return {
    windows: call => {
      const { axis, value, size, ...steps } = attributesOf<WindowAttributes & { readonly value: number }>(call.node)
      const { sizes } = call.inputs[0]!
      const k = call.size(size)
      const { count, before, after } = windowsOn(sizes[axis]!, k, steps)
      const paddings = sizes.map((_, i): readonly [number, number] => (i === axis ? [before, after] : [0, 0]))
      const places = Int32Array.from(
        { length: count * k },
        (_, i) => Math.floor(i / k) * steps.stride + (i % k) * steps.dilation,
      )
      return ([x]): TensorInfo => {
        const wide = padded(x!, paddings, value)
        const indices = make(places.slice(), [places.length], 'i32')
        const rows = run('GatherV2', { x: wide, indices }, { axis, batchDims: 0 })
        return between([wide, indices, rows], [x!], run('Reshape', { x: rows }, { shape: call.output.sizes }))
      }
    },
    fold: onHost,
    conv: supported((call): Run => {
      const [image, weight] = call.inputs
      const { paddings } = frame(call, image!.sizes, weight!.sizes)
      const name = isDepthwise(call) ? 'DepthwiseConv2dNative' : 'Conv2D'
      return ([x, w]) => {
        const wide = padded(x!, paddings)
        const filter = filtered(call, w!, weight!.sizes)
        return between([wide, filter], [x!, w!], run(name, { x: wide, filter }, attributes(call)))
      }
    }),
    convInput: supported((call): Run => {
      const [, weight] = call.inputs
      const { sizes } = call.output
      const { paddings, framed } = frame(call, sizes, weight!.sizes)
      const name = isDepthwise(call) ? 'DepthwiseConv2dNativeBackpropInput' : 'Conv2DBackpropInput'
      const isWhole = framed.join() === sizes.join()
      return ([dy, w]) => {
        const filter = filtered(call, w!, weight!.sizes)
        const wide = run(name, { dy, filter }, { ...attributes(call), inputShape: framed })
        if (isWhole) return between([filter], [w!], wide)
        const begin = paddings.map(([before]) => before)
        return between([filter, wide], [w!], run('Slice', { x: wide }, { begin, size: sizes }))
      }
    }),
    convFilter: supported((call): Run => {
      const [image] = call.inputs
      const { sizes } = call.output
      const { paddings } = frame(call, image!.sizes, sizes)
      const name = isDepthwise(call) ? 'DepthwiseConv2dNativeBackpropFilter' : 'Conv2DBackpropFilter'
      return ([x, dy]) => {
        const wide = padded(x!, paddings)
        const made = run(name, { x: wide, dy }, { ...attributes(call), filterShape: filterSizes(call, sizes) })
        if (!isDepthwise(call)) return between([wide], [x!], made)
        return between([wide, made], [x!], run('Reshape', { x: made }, { shape: sizes }))
      }
    }),
  }
}

import { around, count, windowsOn, type ConvAttributes, type WindowAttributes } from '../../tensor/index.ts'
import type { OnHeap } from './heap-rows.ts'
import { attributesOf, type Call } from './lowering.ts'
import type { Kernels, Products } from './wasm/index.ts'

/** The most numbers of windows that are made at once: the products then run from the cache. */
const mostAtOnce = 2 ** 18

/** The geometry of one image, in the order of the kernels' arguments. */
type Geometry = readonly [
  height: number,
  width: number,
  channels: number,
  rows: number,
  columns: number,
  strideRows: number,
  strideColumns: number,
  dilationRows: number,
  dilationColumns: number,
  top: number,
  left: number,
  across: number,
]

/** Windows along one axis: many images of width 1. */
const alongAxis = ({ node, size }: Call, sizes: readonly number[]) => {
  const { axis, size: places, ...steps } = attributesOf<WindowAttributes>(node)
  const [images, n, inner] = around(sizes, axis)
  const k = size(places)
  const { count: windows, before } = windowsOn(n, k, steps)
  const geometry: Geometry = [n, 1, inner, k, 1, steps.stride, 1, steps.dilation, 1, before, 0, 1]
  return { images, windows, geometry, image: n * inner, row: k * inner }
}

/** The convolution of images of some sizes with a kernel of some sizes, to results of some sizes. */
const ofImages = ({ node }: Call, image: readonly number[], kernel: readonly number[], result: readonly number[]) => {
  const { stride, padding, depthwise } = attributesOf<ConvAttributes>(node)
  const [images, height, width, channels] = image as readonly [number, number, number, number]
  const [rows, columns] = kernel as readonly [number, number]
  const [, down, across, out] = result as readonly [number, number, number, number]
  const before = (i: 0 | 1): number =>
    windowsOn(image[i + 1]!, kernel[i]!, { stride: stride[i], dilation: 1, padding: padding[i] }).before
  const geometry: Geometry = [height, width, channels, rows, columns, ...stride, 1, 1, before(0), before(1), across]
  const row = rows * columns * channels
  return {
    depthwise,
    images,
    geometry,
    /** Places of one image, windows of one image, numbers of one window, channels of the result. */
    image: height * width * channels,
    windows: down * across,
    row,
    out,
    down,
    /** The windows that are made at once. */
    atOnce: Math.max(1, Math.min(down * across, Math.floor(mostAtOnce / row))),
  }
}
type Images = ReturnType<typeof ofImages>

/** The parts of one image's windows, one after another. */
const inParts = ({ windows, atOnce }: Images, each: (from: number, to: number) => void): void => {
  for (let from = 0; from < windows; from += atOnce) each(from, Math.min(from + atOnce, windows))
}

/**
 * Windows and convolutions on the heap. A convolution is a product with its windows, of which few are made at a time,
 * in scratch memory; each channel by itself is convolved in place.
 */
export const convolutionPlans = (kernels: Kernels, products: Products, scratchFor: (numbers: number) => number) => {
  /** One of the three products of a convolution of single channels, image by image. */
  const single = (of: Images, which: 0 | 1 | 2, x: number, w: number, y: number): void => {
    const [height, width, channels, rows, columns, strideRows, strideColumns, , , top, left, across] = of.geometry
    const sizes = [
      height,
      width,
      channels,
      rows,
      columns,
      strideRows,
      strideColumns,
      top,
      left,
      of.down,
      across,
    ] as const
    for (let i = 0; i < of.images; i++)
      kernels.depthwise(x + 4 * i * of.image, w, y + 4 * i * of.windows * of.out, ...sizes, which)
  }
  return {
    windows: (call: Call): OnHeap => {
      const { images, windows, geometry, image, row } = alongAxis(call, call.inputs[0]!.sizes)
      const { value } = attributesOf<{ readonly value: number }>(call.node)
      return ([x], out) => {
        for (let i = 0; i < images; i++)
          kernels.unfold(x! + 4 * i * image, out + 4 * i * windows * row, ...geometry, 0, windows, value)
      }
    },
    fold: (call: Call): OnHeap => {
      const { images, windows, geometry, image, row } = alongAxis(call, call.output.sizes)
      return ([x], out) => {
        kernels.fill(out, images * image, 0)
        for (let i = 0; i < images; i++)
          kernels.fold(x! + 4 * i * windows * row, out + 4 * i * image, ...geometry, 0, windows)
      }
    },
    conv: (call: Call): OnHeap => {
      const [x, w] = call.inputs
      const of = ofImages(call, x!.sizes, w!.sizes, call.output.sizes)
      return ([from, weight], to) => {
        if (of.depthwise) {
          kernels.fill(to, count(call.output.sizes), 0)
          return single(of, 0, from!, weight!, to)
        }
        const scratch = scratchFor(of.atOnce * of.row)
        for (let i = 0; i < of.images; i++)
          inParts(of, (begin, end) => {
            kernels.unfold(from! + 4 * i * of.image, scratch, ...of.geometry, begin, end, 0)
            products.matmul(scratch, weight!, to + 4 * (i * of.windows + begin) * of.out, end - begin, of.row, of.out)
          })
      }
    },
    convInput: (call: Call): OnHeap => {
      const [dy, w] = call.inputs
      const of = ofImages(call, call.output.sizes, w!.sizes, dy!.sizes)
      return ([from, weight], to) => {
        kernels.fill(to, count(call.output.sizes), 0)
        if (of.depthwise) return single(of, 1, to, weight!, from!)
        const scratch = scratchFor(of.atOnce * of.row)
        for (let i = 0; i < of.images; i++)
          inParts(of, (begin, end) => {
            const part = from! + 4 * (i * of.windows + begin) * of.out
            products.matmul(part, weight!, scratch, end - begin, of.out, of.row, { transposeRight: true })
            kernels.fold(scratch, to + 4 * i * of.image, ...of.geometry, begin, end)
          })
      }
    },
    convFilter: (call: Call): OnHeap => {
      const [x, dy] = call.inputs
      const of = ofImages(call, x!.sizes, call.output.sizes, dy!.sizes)
      return ([from, cotangent], to) => {
        if (of.depthwise) {
          kernels.fill(to, count(call.output.sizes), 0)
          return single(of, 2, from!, to, cotangent!)
        }
        const scratch = scratchFor(of.atOnce * of.row)
        for (let i = 0; i < of.images; i++)
          inParts(of, (begin, end) => {
            kernels.unfold(from! + 4 * i * of.image, scratch, ...of.geometry, begin, end, 0)
            const part = cotangent! + 4 * (i * of.windows + begin) * of.out
            const options = { transposeLeft: true, accumulate: i > 0 || begin > 0 }
            products.matmul(scratch, part, to, of.row, end - begin, of.out, options)
          })
      }
    },
  }
}

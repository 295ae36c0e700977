import type { Kernels } from '../../src/backend/tfjs/wasm/index.ts'
import { uniform } from './wasm-runtime.ts'

/** Windows of an image at random geometries, for the kernels that make and add them. */

const whole = (next: () => number, from: number, below: number): number => from + Math.floor(next() * (below - from))
const count = (n: number, top: number, bottom: number, k: number, dilation: number, stride: number): number =>
  Math.floor((n + top + bottom - dilation * (k - 1) - 1) / stride) + 1

/** A geometry with at least one window in each direction. */
const geometry = (channels: number, dilated: boolean, next: () => number) => {
  const [rows, columns] = [whole(next, 1, 4), whole(next, 1, 4)]
  const [dilationRows, dilationColumns] = dilated ? [whole(next, 1, 3), whole(next, 1, 3)] : [1, 1]
  const height = whole(next, (rows - 1) * dilationRows + 1, 9)
  const width = whole(next, (columns - 1) * dilationColumns + 1, 9)
  const [strideRows, strideColumns] = [whole(next, 1, 4), whole(next, 1, 4)]
  const [top, left] = [whole(next, 0, rows), whole(next, 0, columns)]
  const down = count(height, top, whole(next, 0, rows), rows, dilationRows, strideRows)
  const across = count(width, left, whole(next, 0, columns), columns, dilationColumns, strideColumns)
  const place = (r: number, i: number, j: number): number => {
    const y = Math.floor(r / across) * strideRows - top + i * dilationRows
    const x = (r % across) * strideColumns - left + j * dilationColumns
    return y < 0 || y >= height || x < 0 || x >= width ? -1 : y * width + x
  }
  const [kernel, strides, dilations] = [
    [rows, columns],
    [strideRows, strideColumns],
    [dilationRows, dilationColumns],
  ] as const
  return {
    kernel,
    strides,
    dilations,
    image: [height, width, channels],
    before: [top, left],
    down,
    across,
    place,
  } as const
}
type Geometry = ReturnType<typeof geometry>

/** Every place of every window: its number among them, and its place in the image, -1 in the padding. */
const places = ({ kernel: [rows, columns], place }: Geometry, from: number, to: number): readonly number[] =>
  Array.from({ length: (to - from) * rows * columns }, (_, i) =>
    place(from + Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns),
  )
const added = (n: number, each: (add: (to: number, value: number) => void) => void): number[] => {
  const sums = Array.from({ length: n }, () => 0)
  each((to, value) => {
    sums[to]! += value
  })
  return sums
}
type Data = Float32Array | Int32Array

const some = (channels: number, next: () => number) => {
  const of = geometry(channels, true, next)
  const from = whole(next, 0, of.down * of.across)
  const to = whole(next, from, of.down * of.across) + 1
  return { of, from, to, pixels: of.image[0] * of.image[1], at: places(of, from, to) }
}

export const windowSubjects = {
  unfold: (_a: number, _b: number, c: number, next: () => number) => {
    const { of, from, to, pixels, at } = some(c, next)
    const { image, kernel, strides, dilations, before, across } = of
    return {
      inputs: [uniform(next, pixels * c)],
      outputs: [at.length * c],
      call: (k: Kernels, [x = 0]: readonly number[], [y = 0]: readonly number[]) =>
        k.unfold(x, y, ...image, ...kernel, ...strides, ...dilations, ...before, across, from, to, -2),
      want: ([x]: readonly Data[]) => [
        at.flatMap(p => Array.from({ length: c }, (_, channel) => (p < 0 ? -2 : x![p * c + channel]!))),
      ],
    }
  },
  fold: (_a: number, _b: number, c: number, next: () => number) => {
    const { of, from, to, pixels, at } = some(c, next)
    const { image, kernel, strides, dilations, before, across } = of
    return {
      inputs: [uniform(next, at.length * c)],
      outputs: [pixels * c],
      call: (k: Kernels, [x = 0]: readonly number[], [y = 0]: readonly number[]) => {
        k.fill(y, pixels * c, 0)
        k.fold(x, y, ...image, ...kernel, ...strides, ...dilations, ...before, across, from, to)
      },
      want: ([x]: readonly Data[]) => [
        added(pixels * c, add =>
          at.forEach((p, i) => {
            if (p >= 0) for (let channel = 0; channel < c; channel++) add(p * c + channel, x![i * c + channel]!)
          }),
        ),
      ],
    }
  },
  depthwise: (a: number, _b: number, c: number, next: () => number) => {
    const of = geometry(c, false, next)
    const { image, kernel, strides, before, down, across } = of
    const [x, w, y] = [image[0] * image[1] * c, kernel[0] * kernel[1] * c, down * across * c]
    const at = places(of, 0, down * across)
    const which = a % 3
    const sizes = [x, w, y]
    const [first, second, to] = (
      [
        [0, 1, 2],
        [2, 1, 0],
        [0, 2, 1],
      ] as const
    )[which]!
    return {
      inputs: [uniform(next, sizes[first]!), uniform(next, sizes[second]!)],
      outputs: [sizes[to]!],
      call: (k: Kernels, [p = 0, q = 0]: readonly number[], [out = 0]: readonly number[]) => {
        const operands = [0, 0, 0]
        operands[first] = p
        operands[second] = q
        operands[to] = out
        k.fill(out, sizes[to]!, 0)
        k.depthwise(
          operands[0]!,
          operands[1]!,
          operands[2]!,
          ...image,
          ...kernel,
          ...strides,
          ...before,
          down,
          across,
          which,
        )
      },
      want: ([p, q]: readonly Data[]) => [
        added(sizes[to]!, add =>
          at.forEach((pixel, i) => {
            const n = kernel[0] * kernel[1]
            if (pixel < 0) return
            for (let channel = 0; channel < c; channel++) {
              const of = [pixel, i % n, Math.floor(i / n)].map(row => row * c + channel)
              add(of[to]!, p![of[first]!]! * q![of[second]!]!)
            }
          }),
        ),
      ],
    }
  },
}

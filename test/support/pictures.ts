import path from 'node:path'
import * as fc from 'fast-check'
import type { Picture } from '../../src/io/images/picture.ts'

/** The folder of images of all kinds, with what Pillow, transformers and timm make of them. */
export const goldenImages = path.join(import.meta.dirname, '..', 'golden', 'images')

/** A picture from a function of row, column and channel. */
export const picture = (
  height: number,
  width: number,
  value: (y: number, x: number, channel: number) => number,
): Picture => ({
  height,
  width,
  data: Uint8Array.from({ length: height * width * 3 }, (_, i) =>
    value(Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3),
  ),
})

/** Pictures of random pixels, of at most `most` pixels a side. */
export const pictures = (most = 12): fc.Arbitrary<Picture> =>
  fc
    .tuple(fc.integer({ min: 1, max: most }), fc.integer({ min: 1, max: most }))
    .chain(([height, width]) =>
      fc
        .uint8Array({ minLength: height * width * 3, maxLength: height * width * 3 })
        .map(data => ({ height, width, data })),
    )

/** The rows of a picture in reverse columns. */
export const mirrored = ({ height, width, data }: Picture): Picture =>
  picture(height, width, (y, x, c) => data[3 * (y * width + (width - 1 - x)) + c]!)

import type * as TE from 'fp-ts/lib/TaskEither.js'
import { orThrow, refusal, attempt, reasonOf, type IoError } from '../../text/index.ts'
import { readWhole } from '../../host/index.ts'
import type { Picture } from './picture.ts'

/** The longest side of an image, that of a JPEG. */
const longestSide = 65_535
/** The most pixels of an image: above this number Pillow warns of a decompression bomb. */
const mostPixels = 89_478_485
/** The most bytes of a file. */
const mostBytes = 2 ** 28

const starts = (bytes: Uint8Array, at: number, text: string): boolean =>
  [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0))

/** Tests for the first bytes of the formats that are read. Decoders of other formats never see a file. */
const isKnown = (bytes: Uint8Array): boolean =>
  starts(bytes, 0, '\x89PNG\r\n\x1a\n') ||
  starts(bytes, 0, '\xff\xd8\xff') ||
  (starts(bytes, 0, 'RIFF') && starts(bytes, 8, 'WEBP'))

/** The package that decodes images, which only those install who read images. */
const loadSharp = async () => {
  try {
    return (await import('sharp')).default
  } catch (error) {
    throw refusal(`images need the package sharp (npm install sharp): ${reasonOf(error).split('\n')[0]}`)
  }
}

/** The product of two bytes that stand for numbers from 0 to 1, rounded as Pillow does. */
const product = (a: number, b: number): number => {
  const exact = a * b + 128
  return ((exact >> 8) + exact) >> 8
}

/** Red, green and blue of cyan, magenta, yellow and black, without a colour profile, as Pillow converts them. */
const fromInks = (inks: Uint8Array): Uint8Array => {
  const data = new Uint8Array((inks.length / 4) * 3)
  for (let from = 0, to = 0; from < inks.length; from += 4, to += 3) {
    const light = 255 - inks[from + 3]!
    for (let ink = 0; ink < 3; ink++) data[to + ink] = light - product(inks[from + ink]!, light)
  }
  return data
}

const checkSize = (path: string, width: number, height: number): void => {
  if (width === 0 || height === 0) throw refusal(`${path}: the image has no pixels (${width} × ${height})`)
  if (Math.max(width, height) > longestSide)
    throw refusal(`${path}: the image has ${width} × ${height} pixels: a side has at most ${longestSide}`)
  if (width * height > mostPixels)
    throw refusal(`${path}: the image has ${width} × ${height} pixels, more than the ${mostPixels} that are decoded`)
}

/** Runs the decoder; its complaints have several lines and no name of the file. */
const decoding = async <T>(path: string, run: () => Promise<T>): Promise<T> => {
  try {
    return await run()
  } catch (error) {
    throw refusal(`${path}: the image is broken: ${reasonOf(error).split('\n')[0]}`)
  }
}

/**
 * Decodes the bytes of a PNG, JPEG or WebP file to red, green and blue, in the upright position that its EXIF data
 * states. Values equal Pillow's `convert('RGB')`: grey becomes three equal channels, CMYK is converted without a
 * profile, alpha is dropped, embedded profiles are ignored, and of several frames the first one is taken. Of 16 bits
 * the upper 8 are kept. `path` begins every error: another format, a broken or truncated image, a side above 65,535
 * pixels, or more than 89,478,485 pixels, which are never decoded.
 * @example const picture = await orThrow(decodeImage('cat.jpg', bytes))
 */
export const decodeImage = (path: string, bytes: Uint8Array): TE.TaskEither<IoError, Picture> =>
  attempt(path, async () => {
    if (bytes.length === 0) throw refusal(`${path}: the file is empty`)
    if (!isKnown(bytes)) throw refusal(`${path}: it is no image that is read: expected PNG, JPEG or WebP`)
    const sharp = await loadSharp()
    const image = sharp(bytes, { failOn: 'error', ignoreIcc: true, autoOrient: true, limitInputPixels: false })
    const { width, height, space } = await decoding(path, () => image.metadata())
    checkSize(path, width, height)
    // cyan, magenta, yellow and black are asked for as they are, because libvips converts them by a profile of its own
    const channels =
      space === 'cmyk'
        ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
        : image.removeAlpha().toColourspace('srgb')
    const { data, info } = await decoding(path, () =>
      channels.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
    )
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    if (info.channels !== (space === 'cmyk' ? 4 : 3)) throw refusal(`${path}: the image has ${info.channels} channels`)
    return { width: info.width, height: info.height, data: space === 'cmyk' ? fromInks(pixels) : pixels }
  })

/**
 * Reads and decodes an image file; see {@link decodeImage}.
 * @example const { width, height } = await orThrow(readImage('cat.jpg'))
 */
export const readImage = (path: string): TE.TaskEither<IoError, Picture> =>
  attempt(path, async () => orThrow(decodeImage(path, await orThrow(readWhole(path, mostBytes)))))

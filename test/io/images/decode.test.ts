import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { decodeImage, readImage } from '../../../src/io/images/decode.ts'
import { inDirectory, message, put, right } from '../../support/archives.ts'
import { goldenImages } from '../../support/pictures.ts'

const golden = (name: string): string => path.join(goldenImages, name)

const crcs = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c >>> 0
})
const crc = (bytes: Uint8Array): number =>
  (bytes.reduce((c, byte) => crcs[(c ^ byte) & 255]! ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0
const u32 = (x: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(x)
  return bytes
}
const chunk = (kind: string, data: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(kind), data])
  return Buffer.concat([u32(data.length), body, u32(crc(body))])
}
/** A grey PNG whose header states a size, whatever its data are. */
const png = (width: number, height: number, data: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', Buffer.concat([u32(width), u32(height), Buffer.from([8, 0, 0, 0, 0])])),
    chunk('IDAT', deflateSync(data)),
    chunk('IEND', Buffer.alloc(0)),
  ])

test('a PNG of one’s own has its greys in all three channels', async () => {
  const { width, height, data } = await right(decodeImage('own.png', png(2, 2, Buffer.from([0, 1, 2, 0, 3, 255]))))
  assert.deepEqual([width, height, [...data]], [2, 2, [1, 1, 1, 2, 2, 2, 3, 3, 3, 255, 255, 255]])
})

test('an image is decoded upright, whichever of the eight orientations its EXIF data state', async () => {
  // the file has 48 × 32 pixels; orientations 5 to 8 exchange rows and columns
  for (const value of [2, 3, 4, 5, 6, 7, 8]) {
    const { width, height } = await right(readImage(golden(`jpeg-exif-${value}.jpg`)))
    assert.deepEqual([width, height], value < 5 ? [48, 32] : [32, 48])
  }
})

test('an embedded profile and alpha change no number', async () => {
  const pixels = Buffer.from([200, 30, 40, 10, 220, 60, 0, 0, 255, 90, 90, 90])
  const plain = sharp(pixels, { raw: { width: 2, height: 2, channels: 3 } })
  const profiled = await plain.clone().withIccProfile('p3').png().toBuffer()
  // sharp converts the numbers into the profile that it embeds
  const stored = await sharp(profiled, { ignoreIcc: true }).raw().toBuffer()
  assert.notDeepEqual([...stored], [...pixels])
  assert.ok((await sharp(profiled).metadata()).hasProfile)
  assert.deepEqual([...(await right(decodeImage('p3.png', profiled))).data], [...stored])
  const clear = await plain.clone().ensureAlpha(0).png().toBuffer()
  assert.deepEqual([...(await right(decodeImage('clear.png', clear))).data], [...pixels])
})

for (const [name, bytes, sentence] of [
  ['an empty file', () => Buffer.alloc(0), /^x: the file is empty$/],
  [
    'text',
    () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    /^x: it is no image that is read: expected PNG, JPEG or WebP$/,
  ],
  ['a GIF', () => Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1'), /^x: it is no image that is read/],
  ['the first bytes of a PNG alone', () => Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), /^x: the image is broken: /],
  ['an image of zero pixels', () => png(0, 5, Buffer.alloc(5)), /^x: the image (?:is broken: |has no pixels)/],
  [
    'an image 100,000 pixels wide',
    () => png(100_000, 1, Buffer.alloc(100_001)),
    /^x: the image has 100000 × 1 pixels: a side has at most 65535$/,
  ],
  [
    'a bomb: 60,000 × 60,000 pixels in a few bytes',
    () => png(60_000, 60_000, Buffer.alloc(1000)),
    /^x: the image has 60000 × 60000 pixels, more than the 89478485 that are decoded$/,
  ],
  ['a PNG whose rows end early', () => png(40, 40, Buffer.alloc(41 * 20)), /^x: the image is broken: /],
] as const)
  test(`${name} is refused in one sentence`, async () => {
    assert.match(await message(decodeImage('x', bytes())), sentence)
  })

for (const name of ['jpeg.jpg', 'jpeg-progressive.jpg', 'png.png', 'webp.webp', 'webp-lossless.webp'])
  test(`${name} is refused if its last third is missing`, async () => {
    const bytes = await readFile(golden(name))
    assert.match(
      await message(decodeImage(name, bytes.subarray(0, Math.floor((bytes.length * 2) / 3)))),
      new RegExp(`^${name}: the image is broken: .`),
    )
  })

test('a missing file, a folder and a broken file are named by their paths', async () => {
  await inDirectory(async folder => {
    assert.equal(await message(readImage(path.join(folder, 'no.png'))), `${folder}/no.png: no such file or directory`)
    assert.equal(await message(readImage(folder)), `${folder}: it is a directory, where a file is expected`)
    const file = await put(folder, 'half.jpg', (await readFile(golden('jpeg.jpg'))).subarray(0, 2000))
    assert.match(await message(readImage(file)), /^\/.*half\.jpg: the image is broken: /)
  })
})

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { openSafetensors, savedMetadata } from '../../../src/io/index.ts'
import { readImage } from '../../../src/io/images/decode.ts'
import { prepareImage } from '../../../src/io/images/prepare.ts'
import type { Preprocessing } from '../../../src/io/images/preprocessing.ts'
import { timmPreprocessing } from '../../../src/io/images/timm-transform.ts'
import { transformersPreprocessing } from '../../../src/io/images/transformers-processor.ts'
import { right } from '../../support/archives.ts'
import { goldenImages } from '../../support/pictures.ts'

const expectedFile = path.join(goldenImages, 'expected.safetensors')
const names = readdirSync(goldenImages).filter(name => /\.(?:jpg|png|webp)$/.test(name))

const preprocessings = async (): Promise<ReadonlyMap<string, Preprocessing>> =>
  new Map(
    Object.entries(await savedMetadata(expectedFile)).map(([kind, text]) => {
      const parse = kind === 'vit' ? transformersPreprocessing : timmPreprocessing
      const parsed = parse(`${kind}.json`, JSON.parse(text))
      if (E.isLeft(parsed)) assert.fail(parsed.left.message)
      return [kind, parsed.right]
    }),
  )

/** The mean and the largest difference of two lists of numbers, in steps of a pixel's 256 values. */
const difference = (a: ArrayLike<number>, b: ArrayLike<number>, std: readonly number[]): readonly [number, number] => {
  assert.equal(a.length, b.length)
  const all = Array.from(a, (x, i) => Math.abs(x - b[i]!) * std[i % 3]! * 255)
  return [all.reduce((sum, x) => sum + x, 0) / all.length, all.reduce((most, x) => Math.max(most, x), 0)]
}

const compared = async (
  kinds: readonly string[],
): Promise<readonly (readonly [name: string, mean: number, most: number])[]> => {
  const archive = await right(openSafetensors(expectedFile))
  const all = await preprocessings()
  const found: (readonly [string, number, number])[] = []
  try {
    for (const [key, entry] of archive.tensors) {
      const kind = kinds.find(ending => key.endsWith(`.${ending}`))
      if (kind === undefined) continue
      const preprocessing = all.get(kind)!
      const value = await entry.read()
      assert.deepEqual(value.sizes, [preprocessing.size.height, preprocessing.size.width, 3])
      const picture = await right(readImage(path.join(goldenImages, key.slice(0, -kind.length - 1))))
      const [mean, most] = difference(prepareImage(picture, preprocessing), value.data, preprocessing.std)
      found.push([key, mean, most])
    }
  } finally {
    await archive.close()
  }
  return found
}

test('31 images of all kinds have the pixels of timm’s evaluation transform, whatever its form', async () => {
  const found = await compared(['timm', 'wide', 'squash'])
  assert.equal(found.length, names.length + 6)
  for (const [name, , most] of found) assert.ok(most < 1e-3, `${name}: ${most} of 255`)
})

test('31 images of all kinds have the pixels of ViTImageProcessor, but for its rounding of eight bits', async () => {
  const found = await compared(['vit'])
  assert.equal(found.length, names.length)
  assert.equal(found.length, 31)
  for (const [name, mean, most] of found)
    assert.ok(mean < 0.2 && most < 1.001, `${name}: mean ${mean}, at most ${most} of 255`)
})

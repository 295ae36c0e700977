import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { augment, flipped, randomBox, type Augmentation, type ImageKey } from '../../../src/io/images/augment.ts'
import { colourOps } from '../../../src/io/images/colour-ops.ts'
import type { Preprocessing } from '../../../src/io/images/preprocessing.ts'
import { framed } from '../../../src/io/images/prepare.ts'
import { goldenImages, mirrored, picture, pictures } from '../../support/pictures.ts'

const golden: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(path.join(goldenImages, 'pillow.json'), 'utf8'),
)
const bytes = (name: string): Uint8Array => Uint8Array.from(Buffer.from(golden[name]!, 'base64'))
const source = { width: 37, height: 29, data: bytes('source') }

type Operation = keyof typeof colourOps
const operations = Object.keys(colourOps) as readonly Operation[]

for (const operation of operations.filter(name => name !== 'identity'))
  test(`${operation} gives Pillow's bytes`, () => {
    const cases = Object.keys(golden).filter(name => name.startsWith(`${operation}.`))
    assert.equal(cases.length, 4)
    for (const name of cases) {
      const [, strength, sign] = /^\w+\.(0\.\d)\.(-?1)$/.exec(name)!
      assert.deepEqual(colourOps[operation](source, Number(strength), Number(sign)).data, bytes(name), name)
    }
    if (`dull.${operation}` in golden)
      assert.deepEqual(colourOps[operation]({ ...source, data: bytes('dull') }, 0, 1).data, bytes(`dull.${operation}`))
  })

test('no operation on colours changes the size or the picture that it was given', () => {
  fc.assert(
    fc.property(
      pictures(),
      fc.constantFrom(...operations),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (before, name, strength) => {
        const copy = before.data.slice()
        const after = colourOps[name](before, strength, 1)
        assert.deepEqual([after.width, after.height, after.data.length], [before.width, before.height, copy.length])
        assert.deepEqual(before.data, copy)
      },
    ),
  )
})

const flipsBack = (flip: typeof flipped) =>
  fc.property(pictures(), image => {
    assert.deepEqual(flip(flip(image)), image)
    assert.deepEqual(flip(image).data, mirrored(image).data)
  })

test('a picture mirrored twice is the picture; one mirrored with its channels is found out (mutant)', () => {
  fc.assert(flipsBack(flipped))
  assert.throws(() => fc.assert(flipsBack(image => ({ ...image, data: image.data.toReversed() }))))
})

const preprocessing: Preprocessing = {
  scaling: { to: 'exact', height: 8, width: 10 },
  resampling: 'bilinear',
  size: { height: 8, width: 10 },
  scale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
}
const whole: Augmentation = { crop: {}, flip: 0.5, jitter: { operations: 2, strength: 0.5 } }
const keys: fc.Arbitrary<ImageKey> = fc.record({ seed: fc.maxSafeNat(), epoch: fc.nat(1000), index: fc.nat(1e6) })

/** Equal keys give equal pictures, and over twenty indices, epochs and seeds almost all pictures differ. */
const determined = (make: typeof augment) =>
  fc.property(keys, key => {
    const one = make(source, preprocessing, whole, key)
    assert.deepEqual([one.height, one.width, one.data.length], [8, 10, 240])
    assert.deepEqual(make(source, preprocessing, whole, { ...key }), one)
    for (const part of ['seed', 'epoch', 'index'] as const) {
      const all = Array.from({ length: 20 }, (_, i) => make(source, preprocessing, whole, { ...key, [part]: i }))
      const different = new Set(all.map(({ data }) => Buffer.from(data).toString('base64')))
      assert.ok(different.size >= 18, `${part}: ${different.size} of 20`)
    }
  })

test('an augmented picture is a function of seed, epoch and index; one that ignores the epoch, or counts, is found out (mutants)', () => {
  fc.assert(determined(augment), { numRuns: 20 })
  const without: typeof augment = (image, sized, how, key) => augment(image, sized, how, { ...key, epoch: 0 })
  assert.throws(() => fc.assert(determined(without), { numRuns: 20 }))
  let calls = 0
  const counting: typeof augment = (image, sized, how, key) => augment(image, sized, how, { ...key, index: calls++ })
  assert.throws(() => fc.assert(determined(counting), { numRuns: 20 }))
})

test('without any change, an augmented picture is the one of evaluation', () => {
  fc.assert(
    fc.property(pictures(), keys, (image, key) => {
      const plain = framed(image, preprocessing)
      assert.deepEqual(augment(image, preprocessing, {}, key), plain)
      assert.deepEqual(augment(image, preprocessing, { flip: 1 }, key).data, mirrored(plain).data)
    }),
  )
})

test('half of the pictures are mirrored at a probability of one half', () => {
  const image = picture(1, 2, (_, x) => x * 255)
  const sized: Preprocessing = {
    ...preprocessing,
    scaling: { to: 'exact', height: 1, width: 2 },
    size: { height: 1, width: 2 },
  }
  const flips = Array.from({ length: 1000 }, (_, index) =>
    augment(image, sized, { flip: 0.5 }, { seed: 7, epoch: 0, index }),
  ).filter(({ data: [first] }) => first === 255).length
  // four standard deviations
  assert.ok(Math.abs(flips - 500) < 64, String(flips))
})

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const side = fc.integer({ min: 1, max: 500 })

/** A box lies within its picture, and its part of the area and its form are in their ranges, but for whole pixels. */
const boxes = (draw: typeof randomBox) =>
  fc.property(side, side, fc.array(unit, { minLength: 40, maxLength: 40 }), (height, width, numbers) => {
    const box = draw({ height, width, data: new Uint8Array(0) }, {}, numbers)
    assert.ok(box.top >= 0 && box.left >= 0 && box.height >= 1 && box.width >= 1)
    assert.ok(box.top + box.height <= height && box.left + box.width <= width)
    // each side is rounded by at most half a pixel
    const most = (box.width + 0.5) / Math.max(0.5, box.height - 0.5)
    const least = (box.width - 0.5) / (box.height + 0.5)
    assert.ok(most >= 3 / 4 && (least <= 4 / 3 || height === 1), `${box.width} × ${box.height} of ${width} × ${height}`)
    const forms = width / height
    if (forms > 3 / 4 && forms < 4 / 3)
      assert.ok((box.width + 0.5) * (box.height + 0.5) >= 0.08 * width * height, `${box.width} × ${box.height}`)
  })

test('a random box lies within the picture, and its area and form are in their ranges; other ranges and places are found out (mutants)', () => {
  fc.assert(boxes(randomBox))
  const mutants: readonly (typeof randomBox)[] = [
    (image, _, numbers) => ({ ...randomBox(image, {}, numbers), top: Math.floor(numbers[2]! * image.height) }),
    (image, _, numbers) => randomBox(image, { area: [0.01, 0.05] }, numbers),
    (image, _, numbers) => randomBox(image, { ratio: [1 / 3, 3] }, numbers),
  ]
  for (const mutant of mutants) assert.throws(() => fc.assert(boxes(mutant)))
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { resize, type Resampling } from '../../../src/io/images/resample.ts'
import { goldenImages, mirrored, picture, pictures } from '../../support/pictures.ts'

const golden: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(path.join(goldenImages, 'pillow.json'), 'utf8'),
)
const bytes = (name: string): Uint8Array => Uint8Array.from(Buffer.from(golden[name]!, 'base64'))
const source = { width: 37, height: 29, data: bytes('source') }
const filters: readonly Resampling[] = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos']
/** Filters that are even functions; box has a closed end and an open one. */
const smooth = filters.filter(filter => filter !== 'nearest' && filter !== 'box')

for (const filter of filters)
  test(`${filter} gives Pillow's bytes, larger, smaller, and to a single pixel`, () => {
    const cases = Object.keys(golden).filter(name => name.startsWith(`${filter}.`))
    assert.equal(cases.length, 7)
    for (const name of cases) {
      const [width, height] = name
        .slice(filter.length + 1)
        .split('x')
        .map(Number) as [number, number]
      const made = resize(source, { width, height }, filter)
      assert.deepEqual([made.width, made.height, made.data.length], [width, height, 3 * width * height])
      assert.deepEqual(made.data, bytes(name), name)
    }
  })

const sizes = fc.record({ width: fc.integer({ min: 1, max: 20 }), height: fc.integer({ min: 1, max: 20 }) })

test('a picture of one colour keeps it in every size', () => {
  fc.assert(
    fc.property(
      sizes,
      sizes,
      fc.constantFrom(...filters),
      fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)),
      (from, to, filter, colour) => {
        const plain = picture(from.height, from.width, (_, __, c) => colour[c]!)
        assert.deepEqual(
          resize(plain, to, filter),
          picture(to.height, to.width, (_, __, c) => colour[c]!),
        )
      },
    ),
  )
})

/** The largest difference of two pictures of one size. */
const apart = (a: Uint8Array, b: Uint8Array): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

/** A mirror image resized, against the resized picture mirrored: equal but for the rounding of two passes. */
const mirrors = (resized: typeof resize) =>
  fc.property(pictures(), sizes, fc.constantFrom(...smooth), (from, to, filter) => {
    const [one, other] = [resized(mirrored(from), to, filter), mirrored(resized(from, to, filter))]
    assert.ok(apart(one.data, other.data) <= 2, `${filter}: ${apart(one.data, other.data)}`)
  })

test('resizing does not know left from right; pixels that are half a pixel off are found out (mutant)', () => {
  fc.assert(mirrors(resize))
  assert.throws(() =>
    fc.assert(
      mirrors((from, to, filter) => {
        const { height, width, data } = from
        const moved = picture(height, width, (y, x, c) => data[3 * (y * width + Math.min(x + 1, width - 1)) + c]!)
        return resize(moved, to, filter)
      }),
    ),
  )
})

test('the mean of a picture that shrinks by whole numbers under box is kept, and nearest takes pixels of it', () => {
  fc.assert(
    fc.property(pictures(5), fc.integer({ min: 1, max: 4 }), (small, factor) => {
      const { height, width } = small
      const large = picture(
        height * factor,
        width * factor,
        (y, x, c) => small.data[3 * (Math.floor(y / factor) * width + Math.floor(x / factor)) + c]!,
      )
      for (const filter of ['box', 'nearest'] as const) assert.deepEqual(resize(large, small, filter).data, small.data)
      assert.deepEqual(resize(small, large, 'nearest').data, large.data)
    }),
  )
})

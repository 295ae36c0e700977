import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromStorage, leafSizes, storedSizes, toStorage, type Layout } from '../../src/model/index.ts'

/** The ranks of leaves in each layout, and the stored sizes of a leaf of the sizes 2, 3, 5, 7. */
const layouts: { readonly [L in Layout]: { readonly rank: number; readonly stored: readonly number[] } } = {
  same: { rank: 3, stored: [2, 3, 5] },
  linear: { rank: 2, stored: [3, 2] },
  convolution: { rank: 4, stored: [7, 5, 2, 3] },
  depthwise: { rank: 3, stored: [5, 1, 2, 3] },
  pointwise: { rank: 2, stored: [3, 2, 1, 1] },
}
const names = Object.keys(layouts) as readonly Layout[]
const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)
const leafOf = (sizes: readonly number[]) => ({
  sizes,
  data: Float32Array.from({ length: product(sizes) }, (_, i) => i),
})

/** The place of an element in row-major order. */
const placeIn = (sizes: readonly number[], index: readonly number[]): number =>
  sizes.reduce((at, size, axis) => at * size + index[axis]!, 0)

for (const layout of names) {
  const { rank, stored } = layouts[layout]
  const sizes = [2, 3, 5, 7].slice(0, rank)

  test(`${layout}: sizes in storage are those of the leaf in another order, and back`, () => {
    assert.deepEqual(storedSizes(layout, sizes), stored)
    assert.deepEqual(leafSizes(layout, stored), sizes)
  })

  test(`${layout}: an element of the leaf is the element of storage with the same numbers in the other order`, () => {
    const leaf = leafOf(sizes)
    const kept = toStorage(layout, leaf)
    assert.deepEqual(kept.sizes, stored)
    // all sizes differ, so a size tells its axis
    const order = stored.map(size => sizes.indexOf(size))
    const last = sizes.map(size => size - 1)
    for (const index of [
      last,
      last.map((n, axis) => (axis === 0 ? n : 0)),
      last.map((n, axis) => (axis === 1 ? n : 0)),
    ])
      assert.equal(
        kept.data[
          placeIn(
            stored,
            order.map(axis => (axis < 0 ? 0 : index[axis]!)),
          )
        ],
        leaf.data[placeIn(sizes, index)],
      )
  })
}

const anyLeaf = fc
  .constantFrom(...names)
  .chain(layout =>
    fc.tuple(
      fc.constant(layout),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: layouts[layout].rank, maxLength: layouts[layout].rank }),
    ),
  )
/** Runs the law that a leaf survives storage, for some way back. */
const survives = (back: typeof fromStorage): void =>
  fc.assert(
    fc.property(anyLeaf, ([layout, sizes]) => {
      const leaf = leafOf(sizes)
      const found = back(layout, toStorage(layout, leaf))
      assert.deepEqual([found.sizes, [...found.data]], [leaf.sizes, [...leaf.data]])
    }),
    { seed: 16, numRuns: 200 },
  )

test('a leaf that is stored and read again is the same', () => survives(fromStorage))

test('a way back that stores once more is refuted (mutant)', () => {
  assert.throws(() => survives(toStorage))
})

test('a tensor of another rank, or of several filters for each channel, is no depthwise weight', () => {
  assert.equal(leafSizes('depthwise', [5, 2, 3, 3]), undefined)
  assert.equal(leafSizes('convolution', [5, 2, 3]), undefined)
  assert.equal(leafSizes('linear', [5]), undefined)
})

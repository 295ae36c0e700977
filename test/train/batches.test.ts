import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { tensor, toArray, type Value } from '../../src/tensor/index.ts'
import { batches, type BatchOptions } from '../../src/train/index.ts'
import type { Equal } from '../support/expect-type.ts'

const rowsOf = (n: number) => ({
  x: tensor((row, column) => 10 * row + column, ['batch', 'features'], { sizes: [n, 2] }),
  y: tensor(
    Int32Array.from({ length: n }, (_, row) => row),
    ['batch'],
  ),
})
const taken = (n: number, options: BatchOptions): readonly (readonly number[])[] =>
  [...batches(rowsOf(n), options)].map(({ y }) => toArray(y))

test('batches have the structure, names and types of the data; the last one has the rest', () => {
  const all = [...batches(rowsOf(5), { size: 2 })]
  assert.ok(true satisfies Equal<(typeof all)[number]['x'], Value<readonly ['batch', 'features'], 'f32'>>)
  assert.deepEqual(all[0]!.x, {
    shape: ['batch', 'features'],
    sizes: [2, 2],
    dtype: 'f32',
    data: Float32Array.of(0, 1, 10, 11),
  })
  assert.deepEqual(all[2]!.x, {
    shape: ['batch', 'features'],
    sizes: [1, 2],
    dtype: 'f32',
    data: Float32Array.of(40, 41),
  })
  assert.deepEqual(taken(5, { size: 2 }), [[0, 1], [2, 3], [4]])
  assert.deepEqual(taken(5, { size: 2, dropLast: true }), [
    [0, 1],
    [2, 3],
  ])
  assert.deepEqual(taken(2, { size: 9 }), [[0, 1]])
})

test('every row is in one batch of an epoch, whatever its order, and rows of all values stay together', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 7 }),
      fc.option(fc.maxSafeNat(), { nil: undefined }),
      fc.integer({ min: 1, max: 3 }),
      (n, size, seed, epochs) => {
        const options = { size, epochs, ...(seed === undefined ? {} : { shuffle: seed }) }
        const made = batches(rowsOf(n), options)
        const all = [...made]
        assert.equal(all.length, made.length)
        for (const { x, y } of all)
          assert.deepEqual(
            toArray(x).map(([first]) => first! / 10),
            toArray(y),
          )
        const each = all.length / epochs
        for (let epoch = 0; epoch < epochs; epoch++) {
          const rows = all.slice(epoch * each, (epoch + 1) * each).flatMap(({ y }) => toArray(y))
          assert.deepEqual(
            rows.toSorted((a, b) => a - b),
            Array.from({ length: n }, (_, row) => row),
          )
        }
      },
    ),
  )
})

test('a seed gives an order of its own to each epoch, and the same one whenever it is read', () => {
  const made = batches(rowsOf(20), { size: 20, shuffle: 1, epochs: 2 })
  const [first, second] = [...made].map(({ y }) => toArray(y))
  assert.notDeepEqual(first, second)
  assert.deepEqual(
    [...made].map(({ y }) => toArray(y)),
    [first, second],
  )
  assert.notDeepEqual(taken(20, { size: 20, shuffle: 2 })[0], first)
})

test('nested trees, truth values and 16-bit numbers are divided too', () => {
  const data = {
    inputs: [{ mask: tensor([[true], [false], [true]], ['n', 1]) }],
    half: { shape: ['n'], sizes: [3], dtype: 'bf16', data: Uint16Array.of(1, 2, 3) } as Value<readonly ['n'], 'bf16'>,
  }
  const [first, last] = [...batches(data, { size: 2 })]
  assert.deepEqual(first!.inputs[0]!.mask.data, Uint8Array.of(1, 0))
  assert.deepEqual([last!.half.dtype, last!.half.data], ['bf16', Uint16Array.of(3)])
})

test('a batch is a copy', () => {
  const { x, y } = rowsOf(2)
  const [batch] = batches({ x, y }, { size: 2 })
  batch!.x.data[0] = 99
  assert.equal(x.data[0], 0)
})

test('rows that do not belong together are refused in one sentence', () => {
  const { x, y } = rowsOf(3)
  for (const [make, text] of [
    [() => batches({ x, y: rowsOf(2).y }, { size: 1 }), 'batches: x has 3 rows, and y has 2'],
    [
      () => batches({ x, z: tensor([1, 2, 3], ['n']) }, { size: 1 }),
      'batches: the rows of x are batch, and those of z are n',
    ],
    [
      () => batches({ x: tensor([1, 2], [2]) }, { size: 1 }),
      'batches: x is [2]: its first dim is the name of the rows',
    ],
    [() => batches({ x, s: tensor(1) }, { size: 1 }), 'batches: s is []: its first dim is the name of the rows'],
    [() => batches({ x, y }, { size: 0 }), 'batches: size is 0: it is a whole number, at least 1'],
    [() => batches({ x, y }, { size: 1, epochs: 0.5 }), 'batches: epochs is 0.5: it is a whole number, at least 1'],
    [
      () => batches({ x, y }, { size: 1, shuffle: true as unknown as number }),
      'batches: shuffle is true: it is the seed of the order, a whole number',
    ],
    [
      () => batches({ x, y }, { size: 4, dropLast: true }),
      'batches: there are 3 rows, fewer than the size 4, and dropLast',
    ],
    [() => batches({}, { size: 1 }), 'batches: there are no values'],
    [() => batches({ x, n: 3 } as never, { size: 1 }), 'batches: n is 3, and no value: make one by tensor(…)'],
    [
      () => batches({ x: new Float32Array(3) } as never, { size: 1 }),
      'batches: x is a typed array, and no value: make one by tensor(…)',
    ],
    [() => batches({ x: [[1, 2]] } as never, { size: 1 }), 'batches: x.0.0 is 1, and no value: make one by tensor(…)'],
  ] as const)
    assert.throws(make, new RangeError(text))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DataMismatch, ShapeMismatch, tensor, toArray, type Value } from '../../../src/tensor/index.ts'
import type { Equal } from '../../support/expect-type.ts'

const refused = (make: () => unknown, text: string, kind: typeof DataMismatch | typeof ShapeMismatch = DataMismatch) =>
  assert.throws(make, error => {
    assert.ok(error instanceof kind, String(error))
    assert.equal(error.message, text)
    return true
  })

test('nested arrays become a value with their sizes, and their type says names and element type', () => {
  const x = tensor(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    ['batch', 'features'],
  )
  assert.ok(true satisfies Equal<typeof x, Value<readonly ['batch', 'features'], 'f32'>>)
  assert.deepEqual(x, {
    shape: ['batch', 'features'],
    sizes: [2, 3],
    dtype: 'f32',
    data: Float32Array.of(1, 2, 3, 4, 5, 6),
  })
  const rows = tensor([Float32Array.of(1, 2), [3, 4]], ['batch', 2])
  assert.ok(true satisfies Equal<typeof rows, Value<readonly ['batch', 2], 'f32'>>)
  assert.deepEqual(
    [rows.sizes, [...rows.data]],
    [
      [2, 2],
      [1, 2, 3, 4],
    ],
  )
})

test('a number is a scalar, or fills sizes', () => {
  const one = tensor(1.5)
  assert.ok(true satisfies Equal<typeof one, Value<readonly [], 'f32'>>)
  assert.deepEqual(one, { shape: [], sizes: [], dtype: 'f32', data: Float32Array.of(1.5) })
  assert.deepEqual([...tensor(7, ['a', 2], { sizes: [2, 2] }).data], [7, 7, 7, 7])
  assert.deepEqual(tensor(0, [2, 2]).sizes, [2, 2])
  const truth = tensor(true)
  assert.ok(true satisfies Equal<typeof truth, Value<readonly [], 'bool'>>)
  assert.deepEqual(truth.data, Uint8Array.of(1))
})

test('a function of the indices is called once for each element, row by row', () => {
  const x = tensor((row, column) => 10 * row + column, ['rows', 'columns'], { sizes: [2, 3] })
  assert.ok(true satisfies Equal<typeof x, Value<readonly ['rows', 'columns'], 'f32'>>)
  assert.deepEqual(toArray(x), [
    [0, 1, 2],
    [10, 11, 12],
  ])
  const lower = tensor((i, j) => i >= j, ['n', 'n'], { sizes: [2, 2] })
  assert.ok(true satisfies Equal<typeof lower, Value<readonly ['n', 'n'], 'bool'>>)
  assert.deepEqual(toArray(lower), [
    [true, false],
    [true, true],
  ])
})

test('a flat typed array has the sizes that are given, or that one name leaves', () => {
  const x = tensor(new Float32Array(6), ['a', 'b'], { sizes: [2, 3] })
  assert.ok(true satisfies Equal<typeof x, Value<readonly ['a', 'b'], 'f32'>>)
  assert.deepEqual(x.sizes, [2, 3])
  const ids = tensor(Int32Array.of(1, 2, 3), ['batch'])
  assert.ok(true satisfies Equal<typeof ids, Value<readonly ['batch'], 'i32'>>)
  assert.deepEqual([ids.dtype, ids.sizes], ['i32', [3]])
  assert.deepEqual(tensor(new Uint8Array(8), ['batch', 2, 2]).sizes, [2, 2, 2])
  const pixels = tensor(Uint8Array.of(0, 255), ['pixels'], { dtype: 'f32' })
  assert.ok(true satisfies Equal<typeof pixels, Value<readonly ['pixels'], 'f32'>>)
  assert.deepEqual(pixels.data, Float32Array.of(0, 255))
})

test('the data is a copy', () => {
  const data = Float32Array.of(1, 2)
  const x = tensor(data, ['n'])
  data[0] = 9
  assert.equal(x.data[0], 1)
})

test('f32 keeps NaN and infinities; i32 and bool take whole numbers and truth values', () => {
  assert.deepEqual([...tensor([NaN, Infinity, -0], ['n']).data], [NaN, Infinity, -0])
  const labels = tensor([1, 2], ['n'], { dtype: 'i32' })
  assert.ok(true satisfies Equal<typeof labels, Value<readonly ['n'], 'i32'>>)
  assert.deepEqual(labels.data, Int32Array.of(1, 2))
  assert.deepEqual(tensor([0, 1, true], ['n'], { dtype: 'bool' }).data, Uint8Array.of(0, 1, 1))
  assert.deepEqual(tensor([[true], [false]], ['n', 1]).dtype, 'bool')
  refused(() => tensor([[1, 2.5]], [1, 'n'], { dtype: 'i32' }), 'tensor: data[0][1] is 2.5, not a 32-bit integer')
  refused(() => tensor([NaN], ['n'], { dtype: 'i32' }), 'tensor: data[0] is NaN, not a 32-bit integer')
  refused(() => tensor(Uint32Array.of(2 ** 31), ['n']), 'tensor: data[0] is 2147483648, not a 32-bit integer')
  refused(() => tensor([2], ['n'], { dtype: 'bool' }), 'tensor: data[0] is 2, neither a truth value nor 0 or 1')
  refused(() => tensor([0, 1e39], ['n']), 'tensor: data[1] is 1e+39, beyond float32')
  refused(
    () => tensor(i => i / 2, ['n'], { sizes: [2], dtype: 'i32' }),
    'tensor: the result at [1] is 0.5, not a 32-bit integer',
  )
})

test('what is ragged, not a number or of other sizes is refused with its place', () => {
  const loose = (data: unknown): readonly number[] => data as readonly number[]
  refused(() => tensor([[1, 2], [3]], ['a', 'b']), 'tensor: data[1] has 1 element, and data[0] has 2')
  refused(
    () =>
      tensor(
        [
          [[1], [2]],
          [[1], [2, 3]],
        ],
        ['a', 'b', 'c'],
      ),
    'tensor: data[1][1] has 2 elements, and data[0][0] has 1',
  )
  refused(() => tensor(loose([1, [2]]), ['a']), 'tensor: data[1] is an array, and data[0] is none')
  refused(
    () => tensor(loose([[1], 2]) as unknown as readonly (readonly number[])[], ['a', 'b']),
    'tensor: data[1] is no array, and data[0] is one',
  )
  refused(() => tensor(loose([1, '2']), ['a']), 'tensor: data[1] is "2", not a number')
  refused(() => tensor(loose([1, null, 3]), ['a']), 'tensor: data[1] is null, not a number')
  refused(() => tensor(loose([undefined]), ['a']), 'tensor: data[0] is undefined, not a number')
  refused(() => tensor([[1, 2]], ['a', 3]), 'tensor: axis 1 of [a, 3] has the size 2')
  refused(() => tensor([[1, 2]], ['n', 'n']), 'tensor: n is 1 in the data but 2 in the data')
  refused(() => tensor([[1, 2, 3]], ['n', '2*m']), 'tensor: 2*m is 3 in the data, which 2 does not divide')
  refused(() => tensor([], ['n']), 'tensor: the data has the size 0: a size is a positive whole number')
  refused(() => tensor([1, 2], ['n'], { sizes: [3] }), 'tensor: data has 2 elements, and its size is 3')
  refused(
    () => tensor(new Float32Array(5), ['a', 'b'], { sizes: [2, 3] }),
    'tensor: there are 5 numbers, and the sizes [2, 3] take 6',
  )
  refused(() => tensor(new Float32Array(5), ['a', 2]), 'tensor: there are 5 numbers, and the sizes [2, 2] take 4')
  refused(
    () => tensor(new Float32Array(6), ['a', 'b']),
    'tensor: the sizes of [a, b] are not known: specify { sizes: […] }',
  )
  refused(() => tensor(1, ['a']), 'tensor: the sizes of [a] are not known: specify { sizes: […] }')
  refused(
    // @ts-expect-error dim 0 is 2.5
    () => tensor(1, [2.5]),
    'tensor: dim 0 is 2.5: a dim is a positive whole number, a name or a product of them',
    ShapeMismatch,
  )
})

test('another number of axes is a type error, and the same sentence when it runs', () => {
  const text = 'tensor: data of rank 2 does not fit [batch]'
  // @ts-expect-error data of rank 2 does not fit [batch]
  refused(() => tensor([[1, 2]], ['batch']), text, ShapeMismatch)
  refused(() => tensor(1, ['a'], { sizes: [1, 2] }), 'tensor: data of rank 2 does not fit [a]', ShapeMismatch)
})

const deep = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }).chain(sizes =>
  fc
    .array(fc.float({ noDefaultInfinity: true }), {
      minLength: sizes.reduce((n, size) => n * size, 1),
      maxLength: sizes.reduce((n, size) => n * size, 1),
    })
    .map(data => ({ sizes, data: Float32Array.from(data) })),
)

test('reading a value as arrays and making a value of them gives the value again', () => {
  fc.assert(
    fc.property(deep, ({ sizes, data }) => {
      const shape: readonly string[] = sizes.map((_, axis) => `d${axis}`)
      const value: Value<readonly string[]> = { shape, sizes, dtype: 'f32', data }
      const again = tensor(toArray(value), shape)
      assert.deepEqual([again.shape, again.sizes, again.data], [shape, sizes, data])
    }),
  )
})

test('arrays have the type of the rank; truth values and 16-bit numbers are decoded', () => {
  const x = toArray(tensor([[1, 2]], ['a', 'b']))
  assert.ok(true satisfies Equal<typeof x, readonly (readonly number[])[]>)
  const flag = toArray(tensor(true))
  assert.ok(true satisfies Equal<typeof flag, boolean>)
  assert.equal(flag, true)
  const half = { shape: ['n'], sizes: [2], data: Uint16Array.of(0x3f80, 0xc020) } as const
  assert.deepEqual(toArray<readonly ['n'], 'bf16'>({ ...half, dtype: 'bf16' }), [1, -2.5])
  assert.deepEqual(
    toArray<readonly ['n'], 'f16'>({ ...half, dtype: 'f16', data: Uint16Array.of(0x3c00, 0xc100) }),
    [1, -2.5],
  )
})

import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { bf16ToF32, f16Table, f16ToF32, f32ToBf16, f32ToF16 } from '../../src/tensor/data/half.ts'

/** The value of an f16 word by the definition of IEEE 754. */
const f16Value = (word: number): number => {
  const sign = word >> 15 === 1 ? -1 : 1
  const exponent = (word >> 10) & 31
  const fraction = word & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

test('every f16 word has the value that IEEE 754 gives it', () => {
  const table = f16Table()
  for (let word = 0; word < 65536; word++) assert.ok(Object.is(table[word], f16Value(word)), `word ${word}`)
})

test('f16 -> f32 -> f16 and bf16 -> f32 -> bf16 are the identity on every word but NaNs, which stay NaN', () => {
  const words = Uint16Array.from({ length: 65536 }, (_, i) => i)
  for (const [wide, narrow] of [
    [f16ToF32, f32ToF16],
    [bf16ToF32, f32ToBf16],
  ] as const) {
    const values = wide(words)
    const back = narrow(values)
    const again = wide(back)
    for (let i = 0; i < 65536; i++)
      assert.ok(Number.isNaN(values[i]) ? Number.isNaN(again[i]) : back[i] === i, `word ${i}`)
  }
})

/** The nearest of the two neighbouring words, the even one on a tie: the definition of rounding, by search. */
const nearest =
  (value: (word: number) => number, infinity: number, limit: number) =>
  (x: number): number => {
    const size = Math.abs(x)
    const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
    let low = 0
    let high = infinity
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (value(middle) <= size) low = middle
      else high = middle
    }
    const above = high === infinity ? limit : value(high)
    const down = size - value(low)
    const up = above - size
    return sign | (down < up || (down === up && low % 2 === 0) ? low : high)
  }
const oneBf16 = (word: number): number => bf16ToF32(Uint16Array.of(word))[0]!
const anyFloat = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ noNaN: true, min: -1, max: 1 }),
  fc.float({ noNaN: true, min: Math.fround(-(2 ** -13)), max: Math.fround(2 ** -13) }),
)
const roundsLike = (convert: (x: Float32Array) => Uint16Array, definition: (x: number) => number) =>
  fc.property(anyFloat, x => convert(Float32Array.of(x))[0] === definition(x))

test('float32 is rounded to the nearest f16 and bf16, ties to even, overflow to infinity', () => {
  fc.assert(roundsLike(f32ToF16, nearest(f16Value, 0x7c00, 65536)), { numRuns: 2000 })
  fc.assert(roundsLike(f32ToBf16, nearest(oneBf16, 0x7f80, 2 ** 128)), { numRuns: 2000 })
  assert.deepEqual(
    [...f32ToF16(Float32Array.of(65519.996, 65520, 2 ** -25, 3 * 2 ** -26, NaN, -Infinity, -0))],
    [0x7bff, 0x7c00, 0, 1, 0x7e00, 0xfc00, 0x8000],
  )
  assert.deepEqual([...f32ToBf16(Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8))], [0x3f80, 0x3f80, 0x3f82])
})

test('mutant: truncation is refuted as rounding', () => {
  const truncated = (x: Float32Array): Uint16Array => Uint16Array.from(new Uint32Array(x.buffer), bits => bits >>> 16)
  assert.equal(fc.check(roundsLike(truncated, nearest(oneBf16, 0x7f80, 2 ** 128)), { numRuns: 2000 }).failed, true)
})

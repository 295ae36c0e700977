import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { openSafetensors } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { dynamicMap, nf4Codebook } from '../../src/tensor/index.ts'
import { blockScales, dequantizeNF4, quantizeNF4, type PackedNF4 } from '../../src/tune/index.ts'
import { nf4Bytes, nf4Codes } from '../../src/tune/quantize/nf4.ts'

/** Values of bitsandbytes, by name. */
const archive = await orThrow(openSafetensors(fileURLToPath(new URL('../golden/nf4.safetensors', import.meta.url))))
const golden = new Map<string, Float32Array | Int32Array>()
for (const [name, entry] of archive.tensors) {
  const { data } = await entry.read()
  if (data instanceof Float32Array || data instanceof Int32Array) golden.set(name, data)
}
await archive.close()
const expected = (name: string): readonly number[] => [...golden.get(name)!]
const weight = Float32Array.from(expected('weight'))

const single = quantizeNF4(weight, { double: false })
const double = quantizeNF4(weight, { double: true })
/** The packed form with quantized scales, or an assertion error. */
const nested = (packed: PackedNF4) => ('absmax' in packed ? assert.fail('the scales are not quantized') : packed)
const bytesOf = (words: Int32Array): readonly number[] => [...new Uint8Array(words.buffer)]

test('the tables are those of bitsandbytes', () => {
  assert.deepEqual(nf4Codebook, expected('codebook'))
  assert.deepEqual(dynamicMap, expected('double.code2'))
})

test('codes, scales and what they stand for are bit for bit those of bitsandbytes', () => {
  assert.deepEqual([...nf4Bytes(single)], expected('packed'))
  assert.deepEqual([...blockScales(single)], expected('absmax'))
  assert.deepEqual([...dequantizeNF4(single)], expected('dequantized'))
})

test('with double quantization the scales and what they stand for are bit for bit those of bitsandbytes', () => {
  const { absmax_codes, nested_absmax, nested_offset } = nested(double)
  assert.deepEqual(bytesOf(absmax_codes), expected('double.absmax_u8'))
  assert.deepEqual([...nested_absmax], expected('double.absmax2'))
  assert.deepEqual([...nested_offset], expected('double.offset'))
  assert.deepEqual([...nf4Bytes(double)], expected('packed'))
  assert.deepEqual([...dequantizeNF4(double)], expected('double.dequantized'))
})

test('a mutant with the halves of every byte exchanged is refuted by the golden values', () => {
  const swapped = Uint8Array.from(nf4Bytes(single), byte => ((byte & 15) << 4) | (byte >> 4))
  assert.notDeepEqual(
    [...dequantizeNF4({ ...single, codes: nf4Codes(swapped, weight.length) })],
    expected('dequantized'),
  )
})

test('a mutant with blocks of 32 is refuted by the golden values', () => {
  // one scale for each half of a block
  const halves = Float32Array.from({ length: weight.length / 32 }, (_, i) =>
    weight.slice(32 * i, 32 * i + 32).reduce((most, w) => Math.max(most, Math.abs(w)), 0),
  )
  assert.notDeepEqual(
    [...halves].filter((_, i) => i % 2 === 0),
    expected('absmax'),
  )
})

/** The double-quantized weights take 4 + 8/64 + 32/(64·256) bits each, and one offset. */
test('a large matrix takes 4.127 bits an element with double quantization, 4.5 without', () => {
  const values = new Float32Array(64 * 256 * 8)
  const bits = (packed: PackedNF4): number =>
    Object.values(packed).reduce<number>((sum, part: Int32Array | Float32Array) => sum + 8 * part.byteLength, 0) /
    values.length
  assert.equal(bits(quantizeNF4(values, { double: false })), 4.5)
  assert.equal(Math.round(1000 * bits(quantizeNF4(values, { double: true }))), 4127)
})

const matrices = fc
  .tuple(
    fc.integer({ min: 1, max: 700 }),
    fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    fc.constantFrom(1e-30, 1e-3, 1, 1e20),
  )
  .map(([n, seed, scale]) => {
    let state = seed
    return Float32Array.from({ length: n }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return scale * (state / 2 ** 31 - 1)
    })
  })
/** The most that a value may move: half the widest gap of the codebook, times its scale. */
const widest = Math.max(...nf4Codebook.slice(1).map((code, i) => code - nf4Codebook[i]!)) / 2

test('every element comes back within half a gap of the codebook times its scale, whatever fills the last block', () => {
  fc.assert(
    fc.property(matrices, values => {
      const packed = quantizeNF4(values, { double: false })
      const scales = blockScales(packed)
      const back = dequantizeNF4(packed, values.length)
      return (
        back.length === values.length &&
        back.every((v, i) => Math.abs(v - values[i]!) <= 1.0001 * widest * scales[i >> 6]!)
      )
    }),
  )
})

test('with double quantization a scale comes back within half a gap of its map', () => {
  fc.assert(
    fc.property(matrices, values => {
      const exact = blockScales(quantizeNF4(values, { double: false }))
      const packed = quantizeNF4(values, { double: true })
      const { nested_absmax } = nested(packed)
      // the widest gap of the dynamic map is below 1/70
      return blockScales(packed).every(
        (scale, block) => Math.abs(scale - exact[block]!) <= (nested_absmax[block >> 8]! + 1e-6 * exact[block]!) / 140,
      )
    }),
  )
})

test('what is quantized again is what it was', () => {
  fc.assert(
    fc.property(matrices, values => {
      const packed = quantizeNF4(values, { double: false })
      const again = quantizeNF4(dequantizeNF4(packed, values.length), { double: false })
      assert.deepEqual(again, packed)
    }),
  )
})

test('bytes and words hold the same codes', () => {
  fc.assert(
    fc.property(matrices, values => {
      const packed = quantizeNF4(values, { double: false })
      assert.deepEqual(nf4Codes(nf4Bytes(packed, values.length), values.length), packed.codes)
    }),
  )
})

test('a block of zeros stays zeros, and a last block is filled with the code of zero', () => {
  for (const double of [false, true]) {
    assert.deepEqual(
      [...dequantizeNF4(quantizeNF4(new Float32Array(130), { double }), 130)],
      Array.from({ length: 130 }, () => 0),
    )
  }
  // element 8 k + j of a block is bits 4 k to 4 k + 3 of word j
  assert.deepEqual(
    [...quantizeNF4(Float32Array.of(-1, 1), { double: false }).codes],
    [0x77777770, 0x7777777f, ...Array.from({ length: 6 }, () => 0x77777777)],
  )
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { valueOf, type StoredValue } from '../../src/io/checkpoint/archive.ts'
import { saveAdapter } from '../../src/io/adapter/index.ts'
import { openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { checkRange, finite } from '../../src/io/checkpoint/finite.ts'
import { openGguf } from '../../src/io/gguf/archive.ts'
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../src/tensor/data/half.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { leafOf, safetensorsBytes } from '../../src/io/safetensors/write.ts'
import { adapterOf } from '../support/adapters.ts'
import { collect, gguf, inDirectory, message, put, right } from '../support/archives.ts'

const said = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

/** Any bits as numbers of a type, in a matrix. */
const arbitraryValue = fc
  .record({
    dtype: fc.constantFrom('f32', 'bf16', 'f16'),
    columns: fc.integer({ min: 1, max: 4 }),
    seeds: fc.array(
      fc.oneof({ weight: 9, arbitrary: fc.nat(0xffff) }, fc.constantFrom(0x7c00, 0xfc00, 0x7f80, 0xff80, 0x7fc0)),
      { minLength: 1, maxLength: 40 },
    ),
    skip: fc.nat(3),
  })
  .map(({ dtype, columns, seeds, skip }): StoredValue => {
    const rows = Math.floor(seeds.length / columns)
    const n = rows * columns
    const sizes = [rows, columns]
    // the upper half of a float32 has its exponent; a view may begin anywhere in its buffer
    const words = Uint16Array.from({ length: n + skip }, (_, i) => seeds[i % seeds.length]!)
    const bits = Uint32Array.from(words, word => word << 16)
    return dtype === 'f32'
      ? valueOf('f32', sizes, new Float32Array(bits.buffer).subarray(skip))
      : valueOf(dtype, sizes, words.subarray(skip))
  })
const numbersOf = ({ dtype, data }: StoredValue): Float32Array =>
  dtype === 'f32' ? data : dtype === 'bf16' ? bf16ToF32(data) : dtype === 'f16' ? f16ToF32(data) : assert.fail()

test('a tensor passes exactly if all of its numbers are finite, and the first that is not is named with its place', () => {
  const law = (check: typeof finite) =>
    fc.property(arbitraryValue, value => {
      const numbers = numbersOf(value)
      const index = numbers.findIndex(x => !Number.isFinite(x))
      const columns = value.sizes[1]!
      const due =
        index < 0
          ? ''
          : `here: it holds ${numbers[index]} at [${Math.floor(index / columns)}, ${index % columns}]: expected a finite number`
      assert.equal(
        said(() => check('here', value)),
        due,
      )
    })
  fc.assert(law(finite), { numRuns: 600 })
  // mutants: the last element is forgotten; an infinity passes
  assert.throws(() => {
    fc.assert(
      law((subject, value) => (finite(subject, { ...value, data: value.data.subarray(0, -1) } as StoredValue), value)),
      { numRuns: 600 },
    )
  })
  assert.throws(() => {
    fc.assert(
      law((subject, value) => (numbersOf(value).some(Number.isNaN) ? finite(subject, value) : value)),
      { numRuns: 600 },
    )
  })
})

test('what overflows in 16 bits is exactly what is refused', () => {
  for (const [dtype, cast] of [
    ['f16', (x: Float32Array) => f16ToF32(f32ToF16(x))],
    ['bf16', (x: Float32Array) => bf16ToF32(f32ToBf16(x))],
  ] as const) {
    const near = dtype === 'f16' ? 65520 : Math.fround(3.3961775e38)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.float({ noNaN: true, noDefaultInfinity: true }),
          fc.float({ min: Math.fround(near * 0.999), max: Math.fround(near * 1.001), noNaN: true }),
        ),
        fc.boolean(),
        (x, negative) => {
          const data = Float32Array.of(1, negative ? -x : x)
          assert.equal(
            said(() => {
              checkRange('here', dtype, [2], data)
            }) !== '',
            !cast(data).every(Number.isFinite),
          )
        },
      ),
      { numRuns: 500 },
    )
  }
  assert.equal(
    said(() => {
      checkRange('here', 'f16', [1, 2], Float32Array.of(0, -70000))
    }),
    'here: it holds -70000 at [0, 1], and float16 ends at 65504',
  )
})

const one = 'w'
const golden = join(import.meta.dirname, '../golden/llama-tiny')
/** A file of one tensor with the bytes as given. */
const raw = (dtype: string, shape: readonly number[], data: Uint8Array): Buffer => {
  const json = Buffer.from(JSON.stringify({ [one]: { dtype, shape, data_offsets: [0, data.length] } }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, data])
}
const bytesOf = (data: Float32Array | Uint16Array): Uint8Array => new Uint8Array(data.buffer)

test('no number that is not finite is read from safetensors or GGUF, or written: the file and the tensor are named', () =>
  inDirectory(async directory => {
    for (const [dtype, data, found] of [
      ['F32', Float32Array.of(1, 2, NaN, 4), 'NaN'],
      ['F32', Float32Array.of(1, 2, -Infinity, NaN), '-Infinity'],
      ['F16', Uint16Array.of(0, 0, 0x7c00, 0), 'Infinity'],
      ['BF16', Uint16Array.of(0, 0, 0xff80, 0), '-Infinity'],
      ['BF16', Uint16Array.of(0, 0, 0x7fc1, 0), 'NaN'],
    ] as const) {
      const archive = await right(
        openSafetensors(await put(directory, 'a.safetensors', raw(dtype, [2, 2], bytesOf(data)))),
      )
      const due = new RegExp(`a\\.safetensors: tensor w: it holds ${found} at \\[1, 0\\]: expected a finite number$`)
      await assert.rejects(archive.tensors.get(one)!.read(), due)
      assert.match(await message(archive.tensors.get(one)!.readF32()), due)
      await archive.close()
    }
    // blocks of 32 with a scale of 16 bits before them: one that is not finite spoils the whole block
    for (const [type, bytes] of [
      [2, 18],
      [3, 20],
      [6, 22],
      [7, 24],
      [8, 34],
      [12, 144],
      [13, 176],
      [14, 210],
    ] as const) {
      const length = type >= 12 ? 256 : 32
      const data = Buffer.alloc(3 * bytes)
      const scale = type === 14 ? 208 : 0
      data.writeUInt16LE(0x7c00, bytes + scale)
      const path = await put(directory, 'a.gguf', gguf.file([], [{ name: one, sizes: [3, length], type, data }]))
      const archive = await right(openGguf(path))
      assert.match(
        await message(archive.tensors.get(one)!.readF32()),
        /a\.gguf: tensor w: it holds -?(NaN|Infinity) at \[1, 0\]/,
        String(type),
      )
      await archive.close()
    }
    for (const value of [
      valueOf('f32', [2], Float32Array.of(0, NaN)),
      valueOf('f16', [2], Uint16Array.of(0, 0x7c00)),
      valueOf('bf16', [2], Uint16Array.of(0, 0x7f80)),
    ]) {
      await assert.rejects(
        collect(safetensorsBytes([leafOf(one, value)])),
        /^Error: tensor w: it holds (NaN|Infinity) at \[1\]: expected a finite number$/,
      )
    }
  }))

test('an adapter with such a number is not saved, and nothing is left of it', () =>
  inDirectory(async directory => {
    const adapter = adapterOf(
      'lora',
      new Map([['model.layers.0.self_attn.q_proj', { input: 4, output: 4, rank: 2 }]]),
      1,
    )
    const out = join(directory, 'out')
    adapter.modules.get('model.layers.0.self_attn.q_proj')!.lora_B.data[5] = Infinity
    assert.match(
      await message(saveAdapter(out, adapter)),
      /tensor lora_B\.model\.layers\.0\.self_attn\.q_proj: it holds Infinity at \[1, 1\]/,
    )
    await assert.rejects(readFile(join(out, 'adapter_config.json')), /ENOENT/)
  }))

test('a config whose numbers are not finite is refused with the number', () =>
  inDirectory(async directory => {
    const json = await readFile(join(golden, 'config.json'), 'utf8')
    for (const field of ['rms_norm_eps', 'vocab_size']) {
      await put(
        directory,
        'config.json',
        JSON.stringify({ ...JSON.parse(json), [field]: 0 }).replace(`"${field}":0`, `"${field}":1e999`),
      )
      assert.match(
        await message(openCheckpoint(directory)),
        new RegExp(`config\\.json: ${field} is Infinity: expected`),
      )
    }
  }))

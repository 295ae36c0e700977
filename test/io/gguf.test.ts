import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { isIoError } from '../../src/text/error.ts'
import { openGguf } from '../../src/io/gguf/archive.ts'
import { f32ToF16 } from '../../src/tensor/data/half.ts'
import { floats, gguf, inDirectory, message, put, right } from '../support/archives.ts'

/** A seeded source of bytes, so that a failure can be repeated. */
const bytesFrom =
  (seed: number) =>
  (length: number): Buffer =>
    Buffer.from(
      Array.from({ length }, () => {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        return (seed >> 16) & 255
      }),
    )
const half = (x: number): Buffer => Buffer.from(f32ToF16(Float32Array.of(x)).buffer)
const int8 = (x: number): number => (x > 127 ? x - 256 : x)
/** Bit `i` of a little-endian field of bytes. */
const bit = (bytes: Uint8Array, i: number): number => (bytes[i >> 3]! >> (i & 7)) & 1

/**
 * One block of each format: its bytes, and element i by the formula of gguf-py/gguf/quants.py, written element by
 * element.
 */
type Block = { readonly bytes: Buffer; readonly element: (i: number) => number }
const d = 0.03125 * 1.5
const m = -0.375
/** The 4-bit code of element i in a block of 32. */
const nibble32 = (qs: Uint8Array, i: number): number => (i < 16 ? qs[i]! & 15 : qs[i - 16]! >> 4)
/** The 4-bit code of element i in a block of 256: 64 elements share 32 bytes. */
const nibble256 = (qs: Uint8Array, i: number): number => {
  const byte = qs[(i >> 6) * 32 + (i % 32)]!
  return i % 64 < 32 ? byte & 15 : byte >> 4
}
/** Eight 6-bit scales and eight 6-bit minima packed into 12 bytes, as llama.cpp packs them. */
const packScales = (sc: readonly number[], mn: readonly number[]): Buffer =>
  Buffer.from([
    ...[0, 1, 2, 3].map(j => sc[j]! | ((sc[j + 4]! >> 4) << 6)),
    ...[0, 1, 2, 3].map(j => mn[j]! | ((mn[j + 4]! >> 4) << 6)),
    ...[4, 5, 6, 7].map(j => (sc[j]! & 15) | ((mn[j]! & 15) << 4)),
  ])

const formats: Readonly<
  Record<
    string,
    { readonly type: number; readonly size: number; readonly make: (random: (n: number) => Buffer) => Block }
  >
> = {
  Q8_0: {
    type: 8,
    size: 32,
    make: random => {
      const q = random(32)
      return { bytes: Buffer.concat([half(d), q]), element: i => d * int8(q[i]!) }
    },
  },
  Q4_0: {
    type: 2,
    size: 32,
    make: random => {
      const q = random(16)
      return { bytes: Buffer.concat([half(d), q]), element: i => d * (nibble32(q, i) - 8) }
    },
  },
  Q4_1: {
    type: 3,
    size: 32,
    make: random => {
      const q = random(16)
      return { bytes: Buffer.concat([half(d), half(m), q]), element: i => d * nibble32(q, i) + m }
    },
  },
  Q5_0: {
    type: 6,
    size: 32,
    make: random => {
      const high = random(4)
      const q = random(16)
      return { bytes: Buffer.concat([half(d), high, q]), element: i => d * (nibble32(q, i) + 16 * bit(high, i) - 16) }
    },
  },
  Q5_1: {
    type: 7,
    size: 32,
    make: random => {
      const high = random(4)
      const q = random(16)
      return {
        bytes: Buffer.concat([half(d), half(m), high, q]),
        element: i => d * (nibble32(q, i) + 16 * bit(high, i)) + m,
      }
    },
  },
  Q4_K: {
    type: 12,
    size: 256,
    make: random => {
      const sc = [...random(8)].map(x => x & 63)
      const mn = [...random(8)].map(x => x & 63)
      const q = random(128)
      return {
        bytes: Buffer.concat([half(d), half(m), packScales(sc, mn), q]),
        element: i => d * sc[i >> 5]! * nibble256(q, i) - m * mn[i >> 5]!,
      }
    },
  },
  Q5_K: {
    type: 13,
    size: 256,
    make: random => {
      const sc = [...random(8)].map(x => x & 63)
      const mn = [...random(8)].map(x => x & 63)
      const high = random(32)
      const q = random(128)
      const code = (i: number): number => nibble256(q, i) + 16 * ((high[i % 32]! >> (i >> 5)) & 1)
      return {
        bytes: Buffer.concat([half(d), half(m), packScales(sc, mn), high, q]),
        element: i => d * sc[i >> 5]! * code(i) - m * mn[i >> 5]!,
      }
    },
  },
  Q6_K: {
    type: 14,
    size: 256,
    make: random => {
      const low = random(128)
      const high = random(64)
      const sc = random(16)
      const code = (i: number): number => {
        // halves of 128; strips of 32: low nibbles of two rows, then their high nibbles
        const h = i >> 7
        const strip = (i >> 5) & 3
        const j = i & 31
        const byte = low[64 * h + 32 * (strip & 1) + j]!
        return (strip < 2 ? byte & 15 : byte >> 4) + 16 * ((high[32 * h + j]! >> (2 * strip)) & 3)
      }
      return { bytes: Buffer.concat([low, high, sc, half(d)]), element: i => d * int8(sc[i >> 4]!) * (code(i) - 32) }
    },
  },
}

for (const [name, { type, size, make }] of Object.entries(formats)) {
  test(`${name} blocks have the values of the definition`, () =>
    inDirectory(async directory => {
      const random = bytesFrom(type)
      const blocks = Array.from({ length: 6 }, () => make(random))
      const path = await put(
        directory,
        'a.gguf',
        gguf.file(
          [],
          [
            { name: 'before', sizes: [1], type: 0, data: floats(1) },
            { name: 'w', sizes: [3, 2 * size], type, data: Buffer.concat(blocks.map(({ bytes }) => bytes)) },
          ],
        ),
      )
      const archive = await right(openGguf(path))
      const entry = archive.tensors.get('w')!
      assert.deepEqual([entry.dtype, entry.sizes, entry.byteLength], [name, [3, 2 * size], 6 * blocks[0]!.bytes.length])
      const due = Float32Array.from({ length: 6 * size }, (_, i) => blocks[Math.floor(i / size)]!.element(i % size))
      assert.deepEqual(await right(entry.readF32()), due)
      assert.deepEqual((await entry.read()).dtype, 'f32')
      await archive.close()
    }))
}

test('a tensor larger than a chunk of the file is read whole', () =>
  inDirectory(async directory => {
    const rows = 2000
    const random = bytesFrom(7)
    const blocks = Array.from({ length: rows * 20 }, () => formats['Q8_0']!.make(random))
    const data = Buffer.concat(blocks.map(({ bytes }) => bytes))
    assert.ok(data.length > 2 ** 20)
    const archive = await right(
      openGguf(await put(directory, 'a.gguf', gguf.file([], [{ name: 'w', sizes: [rows, 640], type: 8, data }]))),
    )
    const values = await right(archive.tensors.get('w')!.readF32())
    await archive.close()
    for (let i = 0; i < values.length; i++)
      if (values[i] !== Math.fround(blocks[i >> 5]!.element(i & 31))) assert.fail(`element ${i}`)
  }))

test('F32, F16, BF16 and I32 are read as they are; versions 2 and 3', () =>
  inDirectory(async directory => {
    for (const version of [2, 3]) {
      const archive = await right(
        openGguf(
          await put(
            directory,
            'a.gguf',
            gguf.file(
              [],
              [
                { name: 'a', sizes: [2], type: 0, data: floats(1.5, -2) },
                { name: 'b', sizes: [1, 1], type: 1, data: half(0.5) },
                { name: 'c', sizes: [1], type: 30, data: Buffer.from([0x80, 0x3f]) },
                { name: 'd', sizes: [], type: 26, data: gguf.u32(7) },
              ],
              version,
            ),
          ),
        ),
      )
      assert.deepEqual((await archive.tensors.get('a')!.read()).data, Float32Array.of(1.5, -2))
      assert.deepEqual(
        [(await archive.tensors.get('b')!.read()).dtype, await right(archive.tensors.get('b')!.readF32())],
        ['f16', Float32Array.of(0.5)],
      )
      assert.deepEqual(
        [(await archive.tensors.get('c')!.read()).dtype, await right(archive.tensors.get('c')!.readF32())],
        ['bf16', Float32Array.of(1)],
      )
      assert.deepEqual((await archive.tensors.get('d')!.read()).data, Int32Array.of(7))
      await archive.close()
    }
  }))

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const list = (type: number, n: number, data: Uint8Array): Buffer => Buffer.concat([gguf.u32(type), gguf.u64(n), data])

test('all thirteen kinds of metadata are read, nested arrays included', () =>
  inDirectory(async directory => {
    const pairs: readonly (readonly [string, number, Uint8Array, unknown])[] = [
      ['u8', 0, bytes('ff'), 255],
      ['i8', 1, bytes('ff'), -1],
      ['u16', 2, bytes('ffff'), 65535],
      ['i16', 3, bytes('feff'), -2],
      ['u32', 4, bytes('ffffffff'), 4294967295],
      ['i32', 5, bytes('ffffffff'), -1],
      ['f32', 6, floats(0.5), 0.5],
      ['yes', 7, bytes('01'), true],
      ['no', 7, bytes('00'), false],
      ['s', 8, gguf.text('näme'), 'näme'],
      ['u64', 10, gguf.u64(2 ** 40), 2 ** 40],
      ['i64', 11, bytes('ffffffffffffffff'), -1],
      ['wide', 10, bytes('ffffffffffffffff'), 2n ** 64n - 1n],
      ['f64', 12, bytes('000000000000e03f'), 0.5],
      ['i32s', 9, list(5, 2, bytes('01000000ffffffff')), Int32Array.of(1, -1)],
      ['strings', 9, list(8, 2, Buffer.concat([gguf.text('a'), gguf.text('')])), ['a', '']],
      ['bools', 9, list(7, 2, bytes('0100')), [true, false]],
      [
        'nested',
        9,
        list(9, 2, Buffer.concat([list(0, 1, bytes('05')), list(9, 0, bytes(''))])),
        [Uint8Array.of(5), []],
      ],
      ['__proto__', 4, gguf.u32(1), 1],
    ]
    const archive = await right(
      openGguf(
        await put(
          directory,
          'a.gguf',
          gguf.file(
            pairs.map(([key, type, value]) => gguf.pair(key, type, value)),
            [],
          ),
        ),
      ),
    )
    for (const [key, , , due] of pairs) assert.deepEqual(archive.metadata.get(key), due, key)
    assert.equal(archive.metadata.size, pairs.length)
    await archive.close()
  }))

test('a header longer than the first window is read in full', () =>
  inDirectory(async directory => {
    const long = 'x'.repeat(5 * 2 ** 20)
    const archive = await right(
      openGguf(await put(directory, 'a.gguf', gguf.file([gguf.string('long', long), gguf.number('after', 3)], []))),
    )
    assert.equal(archive.metadata.get('long'), long)
    assert.equal(archive.metadata.get('after'), 3)
    await archive.close()
  }))

const huge = bytes('ffffffffffffff7f')
const start = Buffer.concat([Buffer.from('GGUF'), gguf.u32(3)])
const counts = (tensors: Uint8Array, pairs: Uint8Array): Buffer =>
  Buffer.concat([start, tensors, pairs, Buffer.alloc(64)])
const info = (name: string, sizes: readonly number[], type: number, offset: number | Buffer): Buffer =>
  Buffer.concat([
    gguf.text(name),
    gguf.u32(sizes.length),
    ...sizes.toReversed().map(gguf.u64),
    gguf.u32(type),
    typeof offset === 'number' ? gguf.u64(offset) : offset,
  ])
/** A file with tensor infos as given and 64 bytes of data. */
const described = (...infos: readonly Buffer[]): Buffer => {
  const header = Buffer.concat([start, gguf.u64(infos.length), gguf.u64(0), ...infos])
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), Buffer.alloc(64)])
}

test('every lie of a header is one sentence that names the file and what lies', () =>
  inDirectory(async directory => {
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [bytes(''), /the magic word takes 4 bytes, but 0 are left/],
      [Buffer.from('ELF?0000'), /it is not a GGUF file/],
      [Buffer.concat([Buffer.from('GGUF'), bytes('00000003')]), /big-endian GGUF files are not supported/],
      [Buffer.concat([Buffer.from('GGUF'), gguf.u32(1)]), /GGUF version 1 is not supported/],
      [counts(gguf.u64(0), huge), /the metadata claims \d+ items, but 64 bytes are left/],
      [counts(huge, gguf.u64(0)), /the tensor list claims \d+ items, but 64 bytes are left/],
      [gguf.file([gguf.pair('s', 8, huge)], []), /metadata s takes \d+ bytes, but \d+ are left/],
      [gguf.file([gguf.pair('s', 9, Buffer.concat([gguf.u32(8), huge]))], []), /metadata s claims \d+ items/],
      [
        gguf.file([gguf.pair('s', 9, Buffer.concat([gguf.u32(5), huge]))], []),
        /metadata s takes \d+ bytes, but \d+ are left/,
      ],
      [gguf.file([gguf.pair('s', 9, list(9, 1, list(9, 1e6, bytes(''))))], []), /metadata s claims 1000000 items/],
      [
        gguf.file(
          [
            gguf.pair(
              'deep',
              9,
              Buffer.concat([...Array.from({ length: 5000 }, () => list(9, 1, bytes(''))), list(0, 0, bytes(''))]),
            ),
          ],
          [],
        ),
        /nests arrays deeper/,
      ],
      [gguf.file([gguf.pair('s', 13, bytes('00'))], []), /metadata s has the unknown value type 13/],
      [gguf.file([gguf.number('k', 1), gguf.number('k', 2)], []), /the metadata key k occurs twice/],
      [gguf.file([gguf.number('general.alignment', 0)], []), /general\.alignment is 0/],
      [gguf.file([gguf.number('general.alignment', 24)], []), /general\.alignment is 24/],
      [described(info('w', [2, 2, 2, 2, 2], 0, 0)), /tensor w claims 5 dims/],
      [described(info('w', [2 ** 40, 2 ** 40], 0, 0)), /tensor w claims sizes \[1099511627776, 1099511627776\]/],
      [described(info('w', [1000], 0, 0)), /tensor w: its data ends at byte 4000, but the file holds 64/],
      [described(info('w', [2], 0, 96)), /tensor w: its data ends at byte 104/],
      [described(info('w', [2], 0, huge)), /tensor w: its (offset|data)/],
      [described(info('w', [2], 0, 4)), /tensor w: its offset 4 is not a multiple of the alignment 32/],
      [described(info('w', [2], 0, 0), info('w', [2], 0, 32)), /tensor w: the name occurs twice/],
      [
        described(info('v', [2], 0, 0), info('w', [2], 0, 0)),
        /tensor w: its data at offset 0 overlaps the data before it, which ends at 8/,
      ],
      [described(info('w', [2, 20], 3, 0)), /tensor w: its rows of 20 are not made of whole Q4_1 blocks of 32/],
      [described(info('w', [256], 10, 0)), /tensor w: the quantization Q2_K \(type 10\) is not supported \(F32, /],
      [described(info('w', [256], 77, 0)), /tensor w: the quantization unknown \(type 77\) is not supported/],
    ]
    for (const [i, [file, due]] of cases.entries()) {
      const said = await message(openGguf(await put(directory, `case-${i}.gguf`, file)))
      assert.match(said, due)
      assert.ok(said.includes(`case-${i}.gguf`), said)
    }
  }))

test('a hostile file gives an IoError or honest tensors, never a crash, and never much more than it has', () =>
  inDirectory(async directory => {
    const random = bytesFrom(3)
    const valid = gguf.file(
      [
        gguf.string('general.name', 'x'),
        gguf.pair('a', 9, list(8, 1, gguf.text('y'))),
        gguf.pair('n', 9, list(9, 1, list(4, 1, gguf.u32(9)))),
      ],
      [
        {
          name: 'w',
          sizes: [2, 32],
          type: 3,
          data: Buffer.concat([formats['Q4_1']!.make(random).bytes, formats['Q4_1']!.make(random).bytes]),
        },
        { name: 'v', sizes: [3], type: 0, data: floats(1, 2, 3) },
      ],
    )
    const mutation = fc.tuple(
      fc.nat(valid.length - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 8, 9, 127, 128, 255)),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.nat(valid.length),
        async (mutations, cut) => {
          const mutated = Buffer.from(valid)
          for (const [at, byte] of mutations) mutated[at] = byte
          const file = cut % 3 === 0 ? mutated.subarray(0, cut) : mutated
          const opened = await openGguf(await put(directory, 'mutant.gguf', file))()
          if (E.isLeft(opened)) return
          let total = 0
          for (const one of opened.right.tensors.values()) {
            const value = await one.read().catch((error: unknown) => {
              assert.ok(isIoError(error))
              return undefined
            })
            total += value?.data.byteLength ?? 0
          }
          await opened.right.close()
          assert.ok(total <= 8 * file.length, 'float32 is at most 7.1 times a block format')
        },
      ),
      { numRuns: 400 },
    )
  }))

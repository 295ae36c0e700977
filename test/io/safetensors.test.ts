import { test } from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { valueOf, type Archive, type StoredValue } from '../../src/io/checkpoint/archive.ts'
import { isIoError } from '../../src/text/error.ts'
import { openSafetensors, openSharded } from '../../src/io/safetensors/read.ts'
import { leafOf, safetensorsBytes } from '../../src/io/safetensors/write.ts'
import { collect, inDirectory, message, put, right } from '../support/archives.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')

/** A file from a header as given, without any check. */
const raw = (header: unknown, data: Uint8Array = new Uint8Array(0)): Buffer => {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, data])
}
const entry = (dtype: string, shape: unknown, ...data_offsets: readonly unknown[]) => ({ dtype, shape, data_offsets })

const arbitraryValue: fc.Arbitrary<StoredValue> = fc.array(fc.nat(3), { maxLength: 3 }).chain(sizes => {
  const n = sizes.reduce((a, b) => a * b, 1)
  // numbers that are not finite are not written: see finite.test.ts
  const wordsOf = (exponent: number) =>
    fc.array(
      fc.nat(65535).filter(word => (word & exponent) !== exponent),
      { minLength: n, maxLength: n },
    )
  return fc.oneof(
    fc
      .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: n, maxLength: n })
      .map((xs): StoredValue => valueOf('f32', sizes, Float32Array.from(xs))),
    fc
      .array(fc.integer(), { minLength: n, maxLength: n })
      .map((xs): StoredValue => valueOf('i32', sizes, Int32Array.from(xs))),
    wordsOf(0x7f80).map((xs): StoredValue => valueOf('bf16', sizes, Uint16Array.from(xs))),
    wordsOf(0x7c00).map((xs): StoredValue => valueOf('f16', sizes, Uint16Array.from(xs))),
  )
})
const arbitraryTensors = fc.dictionary(
  fc.string({ minLength: 1 }).filter(name => name !== '__metadata__'),
  arbitraryValue,
  { maxKeys: 5 },
)

const readAll = async (archive: Archive): Promise<ReadonlyMap<string, StoredValue>> => {
  const values = new Map<string, StoredValue>()
  for (const [name, one] of archive.tensors) values.set(name, await one.read())
  return values
}

test('what is written is read again, bit for bit, whatever the names, sizes and dtypes', () =>
  inDirectory(async directory => {
    await fc.assert(
      fc.asyncProperty(arbitraryTensors, fc.dictionary(fc.string(), fc.string()), async (tensors, metadata) => {
        const leaves = Object.entries(tensors).map(([name, value]) => leafOf(name, value))
        const bytes = await collect(safetensorsBytes(leaves, metadata))
        assert.deepEqual(
          await collect(safetensorsBytes(leaves.toReversed(), metadata)),
          bytes,
          'the order of leaves does not matter',
        )
        assert.equal(Number(Buffer.from(bytes).readBigUInt64LE()) % 8, 0, 'the header is padded to 8 bytes')
        const archive = await right(openSafetensors(await put(directory, 'a.safetensors', bytes)))
        const values = await readAll(archive)
        await archive.close()
        assert.deepEqual(Object.fromEntries(archive.metadata), { ...metadata })
        assert.deepEqual(new Map([...values].sort()), new Map(Object.entries(tensors).sort()))
      }),
      { numRuns: 60 },
    )
  }))

test('leaves are written one after the other: the next is read when the one before has been taken', async () => {
  const asked: string[] = []
  const leaf = (name: string) =>
    ({
      name,
      dtype: 'f32',
      sizes: [1],
      read: async () => {
        asked.push(name)
        return valueOf('f32', [1], new Float32Array(1))
      },
    }) as const
  const pieces = safetensorsBytes([leaf('b'), leaf('a')])
  for (const due of [[], [], ['a'], ['a', 'b']]) {
    await pieces.next()
    assert.deepEqual(asked, due)
  }
})

test('a golden file of the reference implementation opens: names, sizes, values', async () => {
  const archive = await right(openSafetensors(join(golden, 'model.safetensors')))
  assert.equal(archive.metadata.get('format'), 'pt')
  const one = archive.tensors.get('model.layers.0.mlp.down_proj.weight')
  assert.deepEqual([one?.dtype, one?.sizes, one?.byteLength], ['F32', [64, 176], 64 * 176 * 4])
  assert.ok((await right(one!.readF32())).every(Number.isFinite))
  await archive.close()
})

test('I64, U8 and BOOL are read as int32; an integer beyond int32 is an error that names it', () =>
  inDirectory(async directory => {
    const data = Buffer.alloc(19)
    data.writeBigInt64LE(-5n, 0)
    data.writeBigInt64LE(2n ** 31n, 8)
    data.set([255, 1, 0], 16)
    const archive = await right(
      openSafetensors(
        await put(
          directory,
          'a.safetensors',
          raw(
            {
              small: entry('I64', [1], 0, 8),
              large: entry('I64', [1], 8, 16),
              u: entry('U8', [1], 16, 17),
              b: entry('BOOL', [2], 17, 19),
            },
            data,
          ),
        ),
      ),
    )
    assert.deepEqual((await archive.tensors.get('small')!.read()).data, Int32Array.of(-5))
    assert.deepEqual((await archive.tensors.get('u')!.read()).data, Int32Array.of(255))
    assert.deepEqual((await archive.tensors.get('b')!.read()).data, Int32Array.of(1, 0))
    await assert.rejects(
      archive.tensors.get('large')!.read(),
      /a\.safetensors: tensor large: the integer 2147483648 at position 0 does not fit int32/,
    )
    assert.match(await message(archive.tensors.get('u')!.readF32()), /tensor u: the tensor holds integers/)
    await archive.close()
  }))

test('every lie of a header is one sentence that names the file and the tensor', () =>
  inDirectory(async directory => {
    const four = new Uint8Array(4)
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [new Uint8Array(3), /has at least 8 bytes, this one 3/],
      [Buffer.from('ffffffffffffffff', 'hex'), /the header claims 18446744073709551615 bytes, but the file has 8/],
      [raw('{"a"'), /the header: it is not valid JSON/],
      [raw(Buffer.from('7b22ff227d', 'hex').toString('latin1')), /the header/],
      [raw([]), /the header is not a JSON object/],
      [raw({ a: 3 }), /tensor a: its header entry is not an object/],
      [raw({ a: entry('Q3', [1], 0, 4) }, four), /tensor a: the dtype "Q3" is unknown/],
      [raw({ a: entry('F32', [1.5], 0, 4) }, four), /tensor a: its shape is not a list of sizes/],
      [raw({ a: entry('F32', [-1], 0, 4) }, four), /tensor a: its shape/],
      [raw({ a: entry('F32', [2 ** 40, 2 ** 40], 0, 4) }, four), /tensor a: its shape/],
      [raw({ a: entry('F32', [1], 4, 0) }, four), /tensor a: its data_offsets are not \[begin, end\]/],
      [raw({ a: entry('F32', [1], 0, '4') }, four), /tensor a: its data_offsets/],
      [
        raw({ a: entry('F32', [1e9], 0, 4e9) }, four),
        /tensor a: its data ends at byte 4000000000, but the file holds 4 bytes of data/,
      ],
      [raw({ a: entry('F32', [2], 0, 4) }, four), /tensor a: F32 \[2\] takes 8 bytes, but its data_offsets hold 4/],
      [
        raw({ a: entry('U8', [2], 0, 2), b: entry('U8', [3], 1, 4) }, four),
        /tensor b: its data begins at byte 1, where the data before it ends at 2/,
      ],
      [
        raw({ a: entry('U8', [1], 0, 1), b: entry('U8', [2], 2, 4) }, four),
        /tensor b: its data begins at byte 2, where the data before it ends at 1/,
      ],
      [raw({ a: entry('U8', [2], 0, 2) }, four), /the tensors take 2 bytes, but the file holds 4/],
      [
        raw(
          '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
          four,
        ),
        /the header: the key "a" occurs twice in one object/,
      ],
      [raw({ __metadata__: { a: 1 } }), /__metadata__ "a" is not a string/],
    ]
    for (const [i, [bytes, due]] of cases.entries()) {
      const said = await message(openSafetensors(await put(directory, `case-${i}.safetensors`, bytes)))
      assert.match(said, due)
      assert.ok(said.includes(`case-${i}.safetensors`), said)
    }
    assert.match(await message(openSafetensors(directory)), /it is a directory, where a file is expected/)
    assert.match(await message(openSafetensors(join(directory, 'none'))), /none: no such file or directory/)
  }))

test('a hostile file gives an IoError or honest tensors, never a crash, and never more bytes than it has', () =>
  inDirectory(async directory => {
    const valid = Buffer.from(
      await collect(
        safetensorsBytes(
          [
            leafOf('w', valueOf('f32', [2, 3], new Float32Array(6))),
            leafOf('i', valueOf('i32', [2], new Int32Array(2))),
            leafOf('h', valueOf('bf16', [1], new Uint16Array(1))),
          ],
          { note: 'x' },
        ),
      ),
    )
    const mutation = fc.tuple(
      fc.nat(valid.length - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0123456789-e.[]{}:,"'))),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.nat(valid.length),
        async (mutations, cut) => {
          const bytes = Buffer.from(valid)
          for (const [at, byte] of mutations) bytes[at] = byte
          const file = cut % 3 === 0 ? bytes.subarray(0, cut) : bytes
          const opened = await openSafetensors(await put(directory, 'mutant.safetensors', file))()
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
          assert.ok(total <= 4 * file.length)
        },
      ),
      { numRuns: 400 },
    )
  }))

test('an index opens its shards as one archive; a wrong index names the tensor and the shard', () =>
  inDirectory(async directory => {
    const shard = (name: string, x: number) =>
      collect(safetensorsBytes([leafOf(name, valueOf('f32', [1], Float32Array.of(x)))]))
    await put(directory, 'one.safetensors', await shard('a', 1))
    await put(directory, 'two.safetensors', await shard('b', 2))
    const index = (map: unknown) => put(directory, 'model.safetensors.index.json', JSON.stringify({ weight_map: map }))
    const archive = await right(openSharded(await index({ a: 'one.safetensors', b: 'two.safetensors' })))
    assert.deepEqual(await right(archive.tensors.get('b')!.readF32()), Float32Array.of(2))
    await archive.close()
    assert.match(
      await message(openSharded(await index({ b: 'one.safetensors' }))),
      /tensor b is not in one\.safetensors/,
    )
    assert.match(
      await message(openSharded(await index({ b: '../one.safetensors' }))),
      /weight_map "b" is not the name of a safetensors file beside it/,
    )
    assert.match(
      await message(openSharded(await index({ b: 'three.safetensors' }))),
      /three\.safetensors: no such file or directory/,
    )
    assert.match(await message(openSharded(await index([]))), /weight_map is not an object/)
  }))

test('a leaf that reads something else than it announced stops the writing', async () => {
  const liar = {
    name: 'w',
    dtype: 'f32',
    sizes: [2],
    read: async () => valueOf('f32', [1], new Float32Array(1)),
  } as const
  await assert.rejects(collect(safetensorsBytes([liar])), /tensor w: 1 elements of f32 were read, expected f32 \[2\]/)
  const twice = leafOf('w', valueOf('f32', [], new Float32Array(1)))
  await assert.rejects(collect(safetensorsBytes([twice, twice])), /tensor w: a file holds every name once/)
})

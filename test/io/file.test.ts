import assert from 'node:assert/strict'
import { open, truncate } from 'node:fs/promises'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { bytePieces, fill, fillFrom, openFile } from '../../src/host/file.ts'
import { finite } from '../../src/io/checkpoint/finite.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { inDirectory, put, right } from '../support/archives.ts'

/** A file of which the system reads at most `short` bytes at once; a length beyond 32 bits fails, as in libuv. */
const system = (bytes: Uint8Array | undefined, size: number, short = Infinity) => {
  const calls: { readonly length: number; readonly position: number }[] = []
  const read = async (target: Uint8Array, offset: number, length: number, position: number) => {
    assert.ok(length < 2 ** 31, `a read of ${length} bytes ends the process`)
    calls.push({ length, position })
    const bytesRead = Math.max(0, Math.min(length, short, size - position))
    if (bytes) target.set(bytes.subarray(position, position + bytesRead), offset)
    return { bytesRead }
  }
  return { handle: { read }, calls }
}

test('a read of any length is cut, and every byte comes to its place, however few the system gives at once', () =>
  fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
      fc.nat(59),
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 70 }),
      async (bytes, from, most, short) => {
        const start = from % bytes.length
        const target = new Uint8Array(bytes.length - start)
        const { handle, calls } = system(bytes, bytes.length, short)
        await fill(handle, 'file', target, start, most)
        assert.deepEqual(target, bytes.slice(start))
        assert.ok(calls.every(({ length }) => length <= most))
        await assert.rejects(
          fill(handle, 'file', new Uint8Array(bytes.length - start + 1), start, most),
          new RegExp(`file: the file ends at byte ${bytes.length}, where 1 more are expected`),
        )
      },
    ),
  ))

test('2 GiB and more are read in pieces: into bytes, and into elements', async () => {
  const bytes = 2 ** 31 + 12
  const { handle, calls } = system(undefined, 2 * bytes)
  // memory that nobody writes to takes none
  await fill(handle, 'file', new Uint8Array(bytes), 100)
  assert.deepEqual(calls, [
    { length: 2 ** 30, position: 100 },
    { length: 2 ** 30, position: 100 + 2 ** 30 },
    { length: 12, position: 100 + 2 ** 31 },
  ])
  const pieces: (readonly [length: number, position: number])[] = []
  const data = new Float32Array(bytes / 4 + 2).subarray(2)
  await fillFrom(
    {
      readInto: async (target, position) => {
        pieces.push([target.length, position])
      },
    },
    7,
    data,
  )
  assert.deepEqual(pieces, [
    [2 ** 30, 7],
    [2 ** 30, 7 + 2 ** 30],
    [12, 7 + 2 ** 31],
  ])
})

test('2 GiB of numbers are looked at', () => {
  const value = valueOf('f32', [2 ** 29 + 2], new Float32Array(2 ** 29 + 2))
  assert.equal(finite('here', value), value)
})

test('pieces of an array are its bytes in order, and views of it', () => {
  const data = Uint16Array.from({ length: 9 }, (_, i) => 257 * i).subarray(1)
  for (const most of [1, 2, 5, 16, 100]) {
    assert.deepEqual(Buffer.concat([...bytePieces(data, most)]), Buffer.from(data.buffer, 2, 16))
    assert.ok([...bytePieces(data, most)].every(piece => piece.buffer === data.buffer && piece.length <= most))
  }
  assert.deepEqual([...bytePieces(new Float32Array(0))], [])
})

test('a tensor behind the first 2 GiB of a file is read at its place', () =>
  inDirectory(async directory => {
    // a sparse file: bytes that are never written take no space on the disk
    const length = 2 ** 31 + 8
    const offsets = { zeros: [0, length], tail: [length, length + 8] }
    const json = JSON.stringify({
      zeros: { dtype: 'U8', shape: [length], data_offsets: offsets.zeros },
      tail: { dtype: 'F32', shape: [2], data_offsets: offsets.tail },
    })
    const header = Buffer.from(json + ' '.repeat((8 - (json.length % 8)) % 8))
    const begin = Buffer.alloc(8)
    begin.writeBigUInt64LE(BigInt(header.length))
    const path = await put(directory, 'large.safetensors', Buffer.concat([begin, header]))
    await truncate(path, 8 + header.length + length + 8)
    const handle = await open(path, 'r+')
    await handle.write(Buffer.from(Float32Array.of(1.5, -2).buffer), 0, 8, 8 + header.length + length)
    await handle.close()
    const archive = await right(openSafetensors(path))
    const entry = archive.tensors.get('zeros')!
    assert.deepEqual(await right(archive.tensors.get('tail')!.readF32()), Float32Array.of(1.5, -2))
    assert.deepEqual([...(await entry.readRaw(2 ** 31 - 4, 12))], Array(12).fill(0))
    await archive.close()
    const file = await right(openFile(path))
    assert.deepEqual([...new Float32Array((await file.readBytes(8 + header.length + length, 8)).buffer)], [1.5, -2])
    await file.close()
  }))

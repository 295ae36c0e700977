import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { IoError } from '../../src/text/error.ts'

/** Runs a test in a directory of its own, removed afterwards. */
export const inDirectory = async <A>(use: (directory: string) => Promise<A>): Promise<A> => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-io-'))
  try {
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Writes bytes to a file in a directory and returns its path. */
export const put = async (directory: string, name: string, bytes: Uint8Array | string): Promise<string> => {
  const path = join(directory, name)
  await writeFile(path, bytes)
  return path
}

/** The right side; fails with the error's sentence otherwise. */
export const right = async <A>(task: TE.TaskEither<IoError, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) assert.fail(result.left.message)
  return result.right
}

/** The error's sentence, in one line; fails if there is none. */
export const message = async (task: TE.TaskEither<IoError, unknown>): Promise<string> => {
  const result = await task()
  if (E.isRight(result)) return assert.fail('expected an error')
  assert.equal(result.left.tag, 'IoError')
  assert.ok(!result.left.message.includes('\n'), 'one sentence has no line break')
  return result.left.message
}

/** All pieces of a content as one array. */
export const collect = async (pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece.slice())
  return Buffer.concat(all)
}

const u32 = (x: number): Buffer => {
  const b = Buffer.alloc(4)
  b.writeUInt32LE(x)
  return b
}
const u64 = (x: number): Buffer => {
  const b = Buffer.alloc(8)
  b.writeBigUInt64LE(BigInt(x))
  return b
}
const text = (s: string): Buffer => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)])
const f32 = (x: number): Buffer => {
  const b = Buffer.alloc(4)
  b.writeFloatLE(x)
  return b
}

/** Pieces of GGUF files, written independently of the reader. */
export const gguf = {
  u32,
  u64,
  text,
  f32,
  /** A metadata pair: key, type, raw value. */
  pair: (key: string, type: number, value: Uint8Array): Buffer => Buffer.concat([text(key), u32(type), value]),
  string: (key: string, value: string): Buffer => Buffer.concat([text(key), u32(8), text(value)]),
  number: (key: string, value: number): Buffer => Buffer.concat([text(key), u32(4), u32(value)]),
  float: (key: string, value: number): Buffer => Buffer.concat([text(key), u32(6), f32(value)]),
  /** A file out of pairs and tensors (sizes outermost first); data is aligned to 32. */
  file: (
    pairs: readonly Uint8Array[],
    tensors: readonly { name: string; sizes: readonly number[]; type: number; data: Uint8Array }[],
    version = 3,
  ): Buffer => {
    let at = 0
    const infos = tensors.map(({ name, sizes, type, data }) => {
      const info = Buffer.concat([text(name), u32(sizes.length), ...sizes.toReversed().map(u64), u32(type), u64(at)])
      at += Math.ceil(data.length / 32) * 32
      return info
    })
    const header = Buffer.concat([
      Buffer.from('GGUF'),
      u32(version),
      u64(tensors.length),
      u64(pairs.length),
      ...pairs,
      ...infos,
    ])
    const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)])
    return Buffer.concat([padded(header), ...tensors.map(({ data }) => padded(data))])
  },
}

/** The bytes of float32 numbers. */
export const floats = (...xs: readonly number[]): Buffer => Buffer.concat(xs.map(f32))

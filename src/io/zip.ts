import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { createInflateRaw } from 'node:zlib'
import { orThrow, reasonOf, refusal } from './error.ts'
import { openFile, type InputFile } from './file.ts'

/** Where an entry lies in a zip archive. */
interface ZipEntry {
  readonly method: number
  readonly start: number
  readonly compressedSize: number
  readonly size: number
}

const endSignature = 0x06054b50
const centralSignature = 0x02014b50
const localSignature = 0x04034b50
const endBytes = 22
const centralBytes = 46
const localBytes = 30
const longestComment = 0xffff
const stored = 0
const deflated = 8

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The central directory: found through the record at the end of the file, before which only a comment may stand. */
const readCentralDirectory = async (file: InputFile): Promise<Uint8Array> => {
  const tailStart = Math.max(0, file.size - endBytes - longestComment)
  const tail = viewOf(await file.readBytes(tailStart, file.size - tailStart))
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    if (tail.getUint32(at, true) === endSignature) return file.readBytes(tail.getUint32(at + 16, true), tail.getUint32(at + 12, true))
  }
  throw refusal(`${file.path}: it is not a zip archive`)
}

const findEntry = async (file: InputFile, name: string): Promise<ZipEntry> => {
  const directory = await readCentralDirectory(file)
  const view = viewOf(directory)
  for (let at = 0; at + centralBytes <= directory.length && view.getUint32(at, true) === centralSignature;) {
    const nameLength = view.getUint16(at + 28, true)
    if (new TextDecoder().decode(directory.subarray(at + centralBytes, at + centralBytes + nameLength)) === name) {
      const local = view.getUint32(at + 42, true)
      const header = viewOf(await file.readBytes(local, localBytes))
      if (header.getUint32(0, true) !== localSignature) break
      return {
        method: view.getUint16(at + 10, true),
        compressedSize: view.getUint32(at + 20, true),
        size: view.getUint32(at + 24, true),
        start: local + localBytes + header.getUint16(26, true) + header.getUint16(28, true)
      }
    }
    at += centralBytes + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  }
  throw refusal(`${file.path}: the archive has no file ${name}`)
}

/**
 * The bytes of one file in a zip archive, piece by piece (stored or deflated; no encryption, no 64-bit sizes).
 * Throws an `IoError` where the archive has no such file or is damaged.
 * @example for await (const piece of readZipEntry('a.whl', 'a/model.gguf')) hash.update(piece)
 */
export async function* readZipEntry(path: string, name: string): AsyncGenerator<Uint8Array> {
  const file = await orThrow(openFile(path))
  const entry = await findEntry(file, name).finally(() => file.close())
  if (entry.method !== stored && entry.method !== deflated) throw refusal(`${path}: ${name} is compressed by an unknown method (${entry.method})`)
  if (entry.compressedSize === 0) return
  const source = createReadStream(path, { start: entry.start, end: entry.start + entry.compressedSize - 1 })
  const inflate = createInflateRaw()
  const pieces: Readable = entry.method === stored ? source : source.on('error', error => inflate.destroy(error)).pipe(inflate)
  let done = 0
  try {
    for await (const piece of pieces) {
      done += piece.length
      if (done > entry.size) break
      yield piece
    }
  } catch (error) {
    throw refusal(`${path}: ${name} is damaged: ${reasonOf(error)}`)
  } finally {
    source.destroy()
    inflate.destroy()
  }
  if (done !== entry.size) throw refusal(`${path}: ${name} has not the ${entry.size} bytes that the archive states`)
}

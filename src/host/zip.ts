import { Readable } from 'node:stream'
import { createInflateRaw } from 'node:zlib'
import { crc32 } from './crc.ts'
import { openFile, type InputFile } from './file.ts'
import { isIoError, orThrow, reasonOf, refusal, quoted } from '../text/index.ts'

/** The place of an entry in a zip archive, its sizes and its checksum. */
interface ZipEntry {
  readonly method: number
  readonly start: number
  readonly compressedSize: number
  readonly size: number
  readonly checksum: number
}

const endSignature = 0x06054b50
const centralSignature = 0x02014b50
const localSignature = 0x04034b50
const endBytes = 22
const centralBytes = 46
const localBytes = 30
const longestComment = 0xffff
/** The values of a field that mean that the number stands in a record of the 64-bit form. */
const full16 = 0xffff
const full32 = 0xffffffff
const stored = 0
const deflated = 8
/** The flags of entries that cannot be read: encrypted ones, and patches to other files. */
const unreadable = 0x1 | 0x20 | 0x40

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The central directory: its offset, its bytes and its number of entries. */
interface Directory {
  readonly offset: number
  readonly bytes: Uint8Array
  readonly count: number
}

/** Finds the directory through the record at the end of the file, which only a comment may follow. */
const readDirectory = async (file: InputFile): Promise<Directory> => {
  const tailStart = Math.max(0, file.size - endBytes - longestComment)
  const tail = viewOf(await file.readBytes(tailStart, file.size - tailStart))
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    if (tail.getUint32(at, true) !== endSignature) continue
    if (at + endBytes + tail.getUint16(at + 20, true) !== tail.byteLength) continue
    const count = tail.getUint16(at + 10, true)
    const length = tail.getUint32(at + 12, true)
    const offset = tail.getUint32(at + 16, true)
    if (count === full16 || length === full32 || offset === full32) {
      throw refusal(`${file.path}: zip archives in the 64-bit form are not read`)
    }
    if (tail.getUint32(at + 4, true) !== 0) throw refusal(`${file.path}: zip archives in several parts are not read`)
    if (offset + length > tailStart + at) {
      throw refusal(`${file.path}: the directory of the zip archive does not lie before its end`)
    }
    return { offset, bytes: await file.readBytes(offset, length), count }
  }
  throw refusal(`${file.path}: it is not a zip archive`)
}

/** Finds an entry by name. It reads the whole directory, so that a duplicate name is detected. */
const findEntry = async (file: InputFile, wanted: string): Promise<ZipEntry> => {
  const { offset, bytes, count } = await readDirectory(file)
  const view = viewOf(bytes)
  const decoder = new TextDecoder()
  const damaged = (): Error => refusal(`${file.path}: the directory of the zip archive is damaged`)
  let at = 0
  let found: number | undefined
  for (let i = 0; i < count; i++) {
    if (at + centralBytes > bytes.length || view.getUint32(at, true) !== centralSignature) throw damaged()
    const nameEnd = at + centralBytes + view.getUint16(at + 28, true)
    const end = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (end > bytes.length) throw damaged()
    if (decoder.decode(bytes.subarray(at + centralBytes, nameEnd)) === wanted) {
      if (found !== undefined) throw refusal(`${file.path}: the archive has ${quoted(wanted)} twice`)
      found = at
    }
    at = end
  }
  if (found === undefined) throw refusal(`${file.path}: the archive has no file ${wanted}`)
  return entryAt(file, view, found, wanted, offset)
}

/** The entry at an offset of the directory, checked against the local header before its bytes. */
const entryAt = async (
  file: InputFile,
  view: DataView,
  at: number,
  name: string,
  directory: number,
): Promise<ZipEntry> => {
  const u16 = (offset: number): number => view.getUint16(at + offset, true)
  const u32 = (offset: number): number => view.getUint32(at + offset, true)
  const flags = u16(8)
  const method = u16(10)
  const checksum = u32(16)
  const compressedSize = u32(20)
  const size = u32(24)
  const local = u32(42)
  const wrong = (what: string): Error => refusal(`${file.path}: ${name} ${what}`)
  if ((flags & unreadable) !== 0) throw wrong('is encrypted')
  if (method !== stored && method !== deflated) throw wrong(`is compressed by an unknown method (${method})`)
  if ([compressedSize, size, local].includes(full32)) throw wrong('is kept in the 64-bit form, which is not read')
  const header = viewOf(await file.readBytes(local, localBytes))
  const nameLength = header.getUint16(26, true)
  if (header.getUint32(0, true) !== localSignature) throw wrong('does not begin where the archive says')
  const ownName = new TextDecoder().decode(await file.readBytes(local + localBytes, nameLength))
  if (ownName !== name || header.getUint16(8, true) !== method) throw wrong('is described differently at its place')
  const start = local + localBytes + nameLength + header.getUint16(28, true)
  if (start + compressedSize > directory) throw wrong('does not end before the directory of the archive')
  if (method === stored && compressedSize !== size) throw wrong(`has not the ${size} bytes that the archive states`)
  return { method, start, compressedSize, size, checksum }
}

const pieceBytes = 2 ** 16

async function* storedBytes(file: InputFile, { start, compressedSize }: ZipEntry): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < compressedSize; done += pieceBytes) {
    yield await file.readBytes(start + done, Math.min(pieceBytes, compressedSize - done))
  }
}

/**
 * The bytes of one file in a zip archive, piece by piece (stored or deflated; no encryption, no 64-bit form). The size
 * and the checksum are checked after the last piece was yielded. Throws an `IoError` if the archive does not contain
 * the file, or contains it twice, or is damaged, or if the file is larger than `limit`.
 * @example for await (const piece of readZipEntry('a.whl', 'a/model.gguf')) hash.update(piece)
 */
export async function* readZipEntry(path: string, name: string, limit = Infinity): AsyncGenerator<Uint8Array> {
  const file = await orThrow(openFile(path))
  const inflate = createInflateRaw()
  try {
    const entry = await findEntry(file, name)
    const { size } = entry
    if (size > limit) {
      throw refusal(`${path}: ${name} has ${size} bytes, more than the ${limit} that are read of its kind`)
    }
    const source = Readable.from(storedBytes(file, entry))
    const inflated = (): Readable => source.on('error', error => inflate.destroy(error)).pipe(inflate)
    const pieces = entry.method === stored ? source : inflated()
    let done = 0
    let checksum = 0
    try {
      for await (const piece of pieces as AsyncIterable<Uint8Array>) {
        done += piece.length
        // an endless stream is not followed
        if (done > size) break
        checksum = crc32(piece, checksum)
        yield piece
      }
    } catch (error) {
      throw isIoError(error) ? error : refusal(`${path}: ${name} is damaged: ${reasonOf(error)}`)
    } finally {
      source.destroy()
    }
    if (done !== size) throw refusal(`${path}: ${name} has not the ${size} bytes that the archive states`)
    if (checksum !== entry.checksum) {
      throw refusal(`${path}: ${name} is damaged: its CRC-32 is not the one that the archive states`)
    }
  } finally {
    inflate.destroy()
    await file.close()
  }
}

import { elementCount, type MetadataValue } from '../checkpoint/archive.ts'
import { type InputFile } from '../../host/index.ts'
import { refusal } from '../../text/index.ts'

/** A tensor as the header describes it. `offset` counts from the start of the data. */
export interface TensorInfo {
  readonly name: string
  /** The number of the type in ggml. */
  readonly type: number
  /** The sizes, outermost first (the file has them innermost first). */
  readonly sizes: readonly number[]
  readonly elements: number
  readonly offset: number
}

/** The parsed header of a GGUF file. */
export interface Header {
  readonly version: number
  readonly metadata: ReadonlyMap<string, MetadataValue>
  readonly infos: readonly TensorInfo[]
  /** The offset of the data in the file: the end of the header, aligned. */
  readonly dataStart: number
  readonly alignment: number
}

/** The size limit of a header, which is read whole (tokens and merges of large vocabularies take some 10 MB). */
const headerLimit = 2 ** 28
/** The most bytes of memory that what is read from a header may take, besides twice the file. */
const mostMemory = 32e6
/** The bytes that V8 keeps for a text besides its letters, for an array, for a pair, and for a tensor with its reader. */
const memoryOf = { text: 32, array: 256, pair: 96, tensor: 1000 } as const
/** The deepest nesting that is accepted: no real file nests deeper, and the limit keeps the stack safe. */
const depthLimit = 8

/** Reads forward in a window that holds the first bytes of the file. */
interface Cursor {
  readonly bytes: Buffer
  /** Moves past `length` bytes and returns their start; refuses a length that the file cannot hold. */
  take(length: number, what: string): number
  /** Refuses a count of items, of at least `least` bytes each, that does not fit into the rest of the file. */
  counted(count: number, least: number, what: string): number
  /** Counts memory that is kept; refuses more than the file may take. */
  keep(bytes: number, what: string): void
  at(): number
  /** Refuses the file for a reason. */
  refuse(reason: string): never
}

/** Thrown if the header continues beyond the window. */
class BeyondWindow {
  readonly end: number
  constructor(end: number) {
    this.end = end
  }
}

const cursorOf = (path: string, bytes: Buffer, fileSize: number): Cursor => {
  let at = 0
  let kept = 0
  const most = mostMemory + 2 * fileSize
  return {
    bytes,
    keep: (bytes, what) => {
      kept += bytes
      if (kept > most) throw refusal(`${path}: ${what}: the header takes more than ${most} bytes of memory up to here`)
    },
    take: (length, what) => {
      const begin = at
      if (length > fileSize - begin)
        throw refusal(`${path}: ${what} takes ${length} bytes, but ${fileSize - begin} are left in the file`)
      if (begin + length > headerLimit) throw refusal(`${path}: the header is longer than ${headerLimit} bytes`)
      if (begin + length > bytes.length) throw new BeyondWindow(begin + length)
      at += length
      return begin
    },
    counted: (count, least, what) => {
      if (count * least > fileSize - at)
        throw refusal(`${path}: ${what} claims ${count} items, but ${fileSize - at} bytes are left in the file`)
      return count
    },
    at: () => at,
    refuse: reason => {
      throw refusal(`${path}: ${reason}`)
    },
  }
}

const u32 = (c: Cursor, what: string): number => c.bytes.readUInt32LE(c.take(4, what))

/**
 * Reads a count or offset: 64 bits in the file. One beyond 2^53 is invalid in any case, and stays larger than any file.
 */
const u64 = (c: Cursor, what: string): number => {
  const at = c.take(8, what)
  return c.bytes.readUInt32LE(at) + c.bytes.readUInt32LE(at + 4) * 2 ** 32
}

const string = (c: Cursor, what: string): string => {
  const length = u64(c, what)
  const at = c.take(length, what)
  c.keep(memoryOf.text + length, what)
  const text = c.bytes.toString('utf8', at, at + length)
  // a replacement character may be in the file itself
  if (text.includes('\ufffd') && !Buffer.from(text).equals(c.bytes.subarray(at, at + length)))
    c.refuse(`${what} at byte ${at} is not UTF-8`)
  return text
}

const numberOrBigint = (x: bigint): number | bigint =>
  x >= Number.MIN_SAFE_INTEGER && x <= Number.MAX_SAFE_INTEGER ? Number(x) : x

/**
 * The value types of fixed width: readers of one value, and of an array. Source: ggml, docs/gguf.md,
 * `gguf_metadata_value_type`.
 */
const fixed: ReadonlyMap<
  number,
  {
    readonly width: number
    readonly one: (bytes: Buffer, at: number) => MetadataValue
    readonly many: (data: ArrayBuffer) => MetadataValue
  }
> = new Map([
  [
    0,
    {
      width: 1,
      one: (b: Buffer, at: number): MetadataValue => b.readUInt8(at),
      many: (d: ArrayBuffer): MetadataValue => new Uint8Array(d),
    },
  ],
  [1, { width: 1, one: (b, at) => b.readInt8(at), many: d => new Int8Array(d) }],
  [2, { width: 2, one: (b, at) => b.readUInt16LE(at), many: d => new Uint16Array(d) }],
  [3, { width: 2, one: (b, at) => b.readInt16LE(at), many: d => new Int16Array(d) }],
  [4, { width: 4, one: (b, at) => b.readUInt32LE(at), many: d => new Uint32Array(d) }],
  [5, { width: 4, one: (b, at) => b.readInt32LE(at), many: d => new Int32Array(d) }],
  [6, { width: 4, one: (b, at) => b.readFloatLE(at), many: d => new Float32Array(d) }],
  [7, { width: 1, one: (b, at) => b.readUInt8(at) !== 0, many: d => Array.from(new Uint8Array(d), x => x !== 0) }],
  [10, { width: 8, one: (b, at) => numberOrBigint(b.readBigUInt64LE(at)), many: d => new BigUint64Array(d) }],
  [11, { width: 8, one: (b, at) => numberOrBigint(b.readBigInt64LE(at)), many: d => new BigInt64Array(d) }],
  [12, { width: 8, one: (b, at) => b.readDoubleLE(at), many: d => new Float64Array(d) }],
])
const BOOL = 7
const STRING = 8
const ARRAY = 9

const metadataValue = (path: string, c: Cursor, type: number, what: string, depth = 0): MetadataValue => {
  if (type === STRING) return string(c, what)
  if (type === ARRAY) return array(path, c, what, depth + 1)
  const reader = fixed.get(type)
  if (reader === undefined) throw refusal(`${path}: ${what} has the unknown value type ${type}`)
  return reader.one(c.bytes, c.take(reader.width, what))
}

const array = (path: string, c: Cursor, what: string, depth: number): MetadataValue => {
  if (depth > depthLimit) throw refusal(`${path}: ${what} nests arrays deeper than ${depthLimit}`)
  const type = u32(c, what)
  const length = u64(c, what)
  const reader = fixed.get(type)
  c.keep(memoryOf.array, what)
  if (reader !== undefined) {
    const at = c.take(length * reader.width, what)
    c.keep(length * (type === BOOL ? 8 : reader.width), what)
    return reader.many(new Uint8Array(c.bytes.subarray(at, at + length * reader.width)).buffer)
  }
  c.counted(length, type === STRING ? 8 : 12, what)
  const values: MetadataValue[] = []
  for (let i = 0; i < length; i++) values.push(metadataValue(path, c, type, what, depth))
  return values
}

const tensorInfo = (path: string, c: Cursor): TensorInfo => {
  const name = string(c, 'a tensor name')
  const what = `tensor ${name}`
  c.keep(memoryOf.tensor, what)
  const rank = u32(c, what)
  if (rank > 4) throw refusal(`${path}: ${what} claims ${rank} dims; GGUF has at most 4`)
  const sizes = Array.from({ length: rank }, () => u64(c, what)).toReversed()
  const type = u32(c, what)
  const offset = u64(c, what)
  const elements = elementCount(sizes)
  if (elements === undefined)
    throw refusal(`${path}: ${what} claims sizes [${sizes.join(', ')}], more than any file holds`)
  return { name, type, sizes, elements, offset }
}

const parse = (path: string, c: Cursor): Header => {
  if (c.bytes.toString('latin1', c.take(4, 'the magic word'), 4) !== 'GGUF')
    throw refusal(`${path}: it is not a GGUF file`)
  const version = u32(c, 'the version')
  if (version === 0x02000000 || version === 0x03000000)
    throw refusal(`${path}: big-endian GGUF files are not supported`)
  if (version !== 2 && version !== 3) throw refusal(`${path}: GGUF version ${version} is not supported (2 and 3 are)`)
  const tensorCount = u64(c, 'the number of tensors')
  const pairCount = u64(c, 'the number of metadata keys')
  c.counted(pairCount, 13, 'the metadata') // a key without letters, its type, one byte
  c.counted(tensorCount, 24, 'the tensor list') // a scalar without a name
  const metadata = new Map<string, MetadataValue>()
  for (let i = 0; i < pairCount; i++) {
    const key = string(c, `metadata key ${i}`)
    if (metadata.has(key)) throw refusal(`${path}: the metadata key ${key} occurs twice`)
    const what = `metadata ${key}`
    c.keep(memoryOf.pair, what)
    metadata.set(key, metadataValue(path, c, u32(c, what), what))
  }
  const infos: TensorInfo[] = []
  for (let i = 0; i < tensorCount; i++) infos.push(tensorInfo(path, c))
  const alignment = metadata.get('general.alignment') ?? 32
  if (
    typeof alignment !== 'number' ||
    !Number.isInteger(Math.log2(alignment)) ||
    alignment < 1 ||
    alignment > 2 ** 20
  ) {
    throw refusal(`${path}: general.alignment is ${alignment}, not a power of two up to ${2 ** 20}`)
  }
  return { version, metadata, infos, dataStart: Math.ceil(c.at() / alignment) * alignment, alignment }
}

/**
 * Reads and parses the header: the first megabytes of the file, and more if it is longer. Every count is checked
 * against the remaining bytes before anything is allocated for it.
 */
export const readHeader = async (file: InputFile): Promise<Header> => {
  for (let length = Math.min(file.size, 2 ** 22); ;) {
    const bytes = Buffer.from((await file.readBytes(0, length)).buffer)
    try {
      return parse(file.path, cursorOf(file.path, bytes, file.size))
    } catch (error) {
      if (!(error instanceof BeyondWindow)) throw error
      length = Math.min(file.size, Math.max(2 * length, error.end))
    }
  }
}

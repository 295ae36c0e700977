import { dirname, join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  elementCount,
  entryOf,
  showSizes,
  valueOf,
  type Archive,
  type Entry,
  type StoredValue,
} from '../checkpoint/archive.ts'
import { fillFrom, openFile, parseJson, readJsonObject, type InputFile } from '../../host/index.ts'
import { attempt, orThrow, refusal, type IoError, isRecord, quoted, shown } from '../../text/index.ts'

/**
 * Bytes per element of every dtype in the format. A dtype without a reader below may occur in a file but is refused
 * when read.
 */
const bytesOf: ReadonlyMap<string, number> = new Map([
  ['F64', 8],
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['F8_E4M3', 1],
  ['F8_E5M2', 1],
  ['F8_E8M0', 1],
  ['I64', 8],
  ['I32', 4],
  ['I16', 2],
  ['I8', 1],
  ['U64', 8],
  ['U32', 4],
  ['U16', 2],
  ['U8', 1],
  ['BOOL', 1],
])
const headerLimit = 100_000_000
/** The member of the header that is no tensor. */
const metadataName = '__metadata__'

interface Info {
  readonly name: string
  readonly dtype: string
  readonly sizes: readonly number[]
  readonly begin: number
  readonly end: number
}

const isNatural = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x >= 0

/** Checks one member of the header for consistency; `dataLength` bounds its offsets. */
const parseInfo = (path: string, name: string, raw: unknown, dataLength: number): Info => {
  const subject = `${path}: tensor ${name}`
  if (!isRecord(raw)) throw refusal(`${subject}: its header entry is not an object`)
  const { dtype, shape, data_offsets: offsets } = raw
  const width = typeof dtype === 'string' ? bytesOf.get(dtype) : undefined
  if (typeof dtype !== 'string' || width === undefined)
    throw refusal(`${subject}: the dtype ${shown(dtype)} is unknown`)
  const elements = Array.isArray(shape) ? elementCount(shape) : undefined
  if (!Array.isArray(shape) || elements === undefined) throw refusal(`${subject}: its shape is not a list of sizes`)
  const [begin, end, ...more]: readonly unknown[] = Array.isArray(offsets) ? offsets : []
  if (!isNatural(begin) || !isNatural(end) || more.length > 0 || begin > end)
    throw refusal(`${subject}: its data_offsets are not [begin, end]`)
  if (end > dataLength)
    throw refusal(`${subject}: its data ends at byte ${end}, but the file holds ${dataLength} bytes of data`)
  if (elements * width !== end - begin) {
    throw refusal(
      `${subject}: ${dtype} ${showSizes(shape)} takes ${elements * width} bytes, but its data_offsets hold ${end - begin}`,
    )
  }
  return { name, dtype, sizes: shape, begin, end }
}

const parseMetadata = (path: string, raw: unknown): ReadonlyMap<string, string> => {
  if (raw === undefined) return new Map()
  if (!isRecord(raw)) throw refusal(`${path}: __metadata__ is not an object`)
  return new Map(
    Object.entries(raw).map(([key, value]) => {
      if (typeof value !== 'string') throw refusal(`${path}: __metadata__ ${quoted(key)} is not a string`)
      return [key, value]
    }),
  )
}

/**
 * Parses a header and checks that the tensors fill the data without gap or overlap. Infos are in the order of their
 * data.
 */
const parseHeader = (path: string, json: Uint8Array, dataLength: number) => {
  const header = parseJson(`${path}: the header`, json)
  if (!isRecord(header)) throw refusal(`${path}: the header is not a JSON object`)
  const infos = Object.keys(header)
    .filter(name => name !== metadataName)
    .map(name => parseInfo(path, name, header[name], dataLength))
    .sort((a, b) => a.begin - b.begin || a.end - b.end)
  let at = 0
  for (const { name, begin, end } of infos) {
    if (begin !== at)
      throw refusal(`${path}: tensor ${name}: its data begins at byte ${begin}, where the data before it ends at ${at}`)
    at = end
  }
  if (at !== dataLength)
    throw refusal(`${path}: the tensors take ${at} bytes, but the file holds ${dataLength} bytes of data`)
  return { infos, metadata: parseMetadata(path, header[metadataName]) }
}

const int64ToInt32 = (subject: string, wide: BigInt64Array): Int32Array => {
  const out = new Int32Array(wide.length)
  const halves = new Int32Array(wide.buffer) // low half first: the machine is little endian, as the format is
  for (let i = 0; i < out.length; i++) {
    const low = halves[2 * i]!
    if (halves[2 * i + 1] !== low >> 31)
      throw refusal(`${subject}: the integer ${wide[i]} at position ${i} does not fit int32`)
    out[i] = low
  }
  return out
}

/** Reads raw elements at byte `start`; only called with sizes that were checked against the file. */
const readValue = async (
  file: InputFile,
  start: number,
  { name, dtype, sizes, begin, end }: Info,
): Promise<StoredValue> => {
  const subject = `${file.path}: tensor ${name}`
  const bytes = end - begin
  const filled = <T extends ArrayBufferView>(data: T): Promise<T> => fillFrom(file, start, data)
  switch (dtype) {
    case 'F32':
      return valueOf('f32', sizes, await filled(new Float32Array(bytes / 4)))
    case 'F16':
      return valueOf('f16', sizes, await filled(new Uint16Array(bytes / 2)))
    case 'BF16':
      return valueOf('bf16', sizes, await filled(new Uint16Array(bytes / 2)))
    case 'I32':
      return valueOf('i32', sizes, await filled(new Int32Array(bytes / 4)))
    case 'I64':
      return valueOf('i32', sizes, int64ToInt32(subject, await filled(new BigInt64Array(bytes / 8))))
    case 'U8':
    case 'BOOL':
      return valueOf('i32', sizes, Int32Array.from(await filled(new Uint8Array(bytes))))
    default:
      throw refusal(`${subject}: the dtype ${dtype} is not supported (F32, F16, BF16, I32, I64, U8 and BOOL are)`)
  }
}

/**
 * Opens a safetensors file: every number of the header is checked against the file; tensors are read on demand. Layout:
 * u64 header length, JSON header, data. Source: github.com/huggingface/safetensors, README "Format". Errors: a false or
 * broken header, which names the tensor.
 * @example const archive = await openSafetensors('model.safetensors')()
 */
export const openSafetensors = (path: string): TE.TaskEither<IoError, Archive> =>
  attempt(path, async () => {
    const file = await orThrow(openFile(path))
    try {
      if (file.size < 8) throw refusal(`${path}: a safetensors file has at least 8 bytes, this one ${file.size}`)
      const length = new DataView((await file.readBytes(0, 8)).buffer).getBigUint64(0, true)
      if (length > BigInt(file.size - 8))
        throw refusal(`${path}: the header claims ${length} bytes, but the file has ${file.size}`)
      if (length > headerLimit)
        throw refusal(`${path}: the header claims ${length} bytes, more than the ${headerLimit} that are allowed`)
      const dataStart = 8 + Number(length)
      const { infos, metadata } = parseHeader(path, await file.readBytes(8, Number(length)), file.size - dataStart)
      const entries = infos.map((info): [string, Entry] => {
        const start = dataStart + info.begin
        const described = { name: info.name, dtype: info.dtype, sizes: info.sizes, byteLength: info.end - info.begin }
        return [info.name, entryOf(file, start, described, () => readValue(file, start, info))]
      })
      return { path, tensors: new Map(entries), metadata, close: file.close }
    } catch (error) {
      await file.close()
      throw error
    }
  })

const weightMap = (path: string, index: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> => {
  const map = index['weight_map']
  if (!isRecord(map)) throw refusal(`${path}: weight_map is not an object`)
  return new Map(
    Object.entries(map).map(([name, shard]) => {
      if (typeof shard !== 'string' || !/^[^/\\]+\.safetensors$/.test(shard)) {
        throw refusal(`${path}: weight_map ${quoted(name)} is not the name of a safetensors file beside it`)
      }
      return [name, shard]
    }),
  )
}

/**
 * Opens the safetensors files that an index names (`model.safetensors.index.json`) as one archive. Errors: a broken
 * index, a missing or broken shard, a tensor that its shard does not hold, or that a shard holds and the index does not
 * name.
 * @example const archive = await openSharded('model.safetensors.index.json')()
 */
export const openSharded = (indexPath: string): TE.TaskEither<IoError, Archive> =>
  pipe(
    readJsonObject(indexPath, headerLimit),
    TE.flatMap(index =>
      attempt(indexPath, async () => {
        const map = weightMap(indexPath, index)
        const shards = new Map<string, Archive>()
        const close = async () => {
          await Promise.all([...shards.values()].map(shard => shard.close()))
        }
        try {
          for (const name of new Set(map.values()))
            shards.set(name, await orThrow(openSafetensors(join(dirname(indexPath), name))))
          const tensors = new Map(
            [...map].map(([name, shard]) => {
              const entry = shards.get(shard)?.tensors.get(name)
              if (entry === undefined) throw refusal(`${indexPath}: tensor ${name} is not in ${shard}`)
              return [name, entry]
            }),
          )
          for (const [shard, archive] of shards) {
            const other = [...archive.tensors.keys()].find(name => map.get(name) !== shard)
            if (other !== undefined)
              throw refusal(`${indexPath}: ${shard} holds tensor ${other}, which weight_map does not say`)
          }
          return { path: indexPath, tensors, metadata: new Map(), close }
        } catch (error) {
          await close()
          throw error
        }
      }),
    ),
  )

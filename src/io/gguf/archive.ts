import type * as TE from 'fp-ts/lib/TaskEither.js'
import { entryOf, valueOf, type Archive, type Entry, type StoredValue } from '../checkpoint/archive.ts'
import { fillFrom, openFile, type InputFile } from '../../host/index.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0, type Dequantize } from './dequantize.ts'
import { readHeader, type TensorInfo } from './header.ts'

/** The way to read a ggml type: as it is, or decoded from blocks of `elements` weights in `bytes` bytes. */
type Format = Plain | Blocks
interface Plain {
  readonly kind: 'plain'
  readonly name: 'F32' | 'F16' | 'BF16' | 'I32'
  readonly elements: 1
  readonly bytes: number
}
interface Blocks {
  readonly kind: 'blocks'
  readonly name: string
  readonly elements: number
  readonly bytes: number
  readonly dequantize: Dequantize
}

const plain = (name: Plain['name'], bytes: number): Format => ({ kind: 'plain', name, elements: 1, bytes })
const blocks = (name: string, elements: number, bytes: number, dequantize: Dequantize): Format => ({
  kind: 'blocks',
  name,
  elements,
  bytes,
  dequantize,
})

/** The formats by ggml's number of the type (`enum ggml_type` in ggml.h). */
const formats: ReadonlyMap<number, Format> = new Map([
  [0, plain('F32', 4)],
  [1, plain('F16', 2)],
  [30, plain('BF16', 2)],
  [26, plain('I32', 4)],
  [2, blocks('Q4_0', 32, 18, q4_0)],
  [3, blocks('Q4_1', 32, 20, q4_1)],
  [6, blocks('Q5_0', 32, 22, q5_0)],
  [7, blocks('Q5_1', 32, 24, q5_1)],
  [8, blocks('Q8_0', 32, 34, q8_0)],
  [12, blocks('Q4_K', 256, 144, q4_k)],
  [13, blocks('Q5_K', 256, 176, q5_k)],
  [14, blocks('Q6_K', 256, 210, q6_k)],
])

/** The names of types that are known but not supported, for the message. */
const otherTypes: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
])

interface Placed<F = Format> {
  readonly info: TensorInfo
  readonly format: F
  readonly byteLength: number
}

const place = (path: string, info: TensorInfo): Placed => {
  const format = formats.get(info.type)
  const subject = `${path}: tensor ${info.name}`
  if (format === undefined) {
    throw refusal(
      `${subject}: the quantization ${otherTypes.get(info.type) ?? 'unknown'} (type ${info.type}) is not supported ` +
        `(${[...formats.values()].map(({ name }) => name).join(', ')} are)`,
    )
  }
  if ((info.sizes.at(-1) ?? 1) % format.elements !== 0) {
    throw refusal(
      `${subject}: its rows of ${info.sizes.at(-1)} are not made of whole ${format.name} blocks of ${format.elements}`,
    )
  }
  return { info, format, byteLength: (info.elements / format.elements) * format.bytes }
}

/** Checks that every tensor is aligned, inside the file and clear of its neighbours, and that no name occurs twice. */
const checkLayout = (path: string, placed: readonly Placed[], alignment: number, dataLength: number): void => {
  const names = new Set<string>()
  let end = 0
  const inOrder = [...placed].sort((a, b) => a.info.offset - b.info.offset || a.byteLength - b.byteLength)
  for (const {
    info: { name, offset },
    byteLength,
  } of inOrder) {
    const subject = `${path}: tensor ${name}`
    if (names.has(name)) throw refusal(`${subject}: the name occurs twice`)
    names.add(name)
    if (offset % alignment !== 0)
      throw refusal(`${subject}: its offset ${offset} is not a multiple of the alignment ${alignment}`)
    if (offset < end)
      throw refusal(`${subject}: its data at offset ${offset} overlaps the data before it, which ends at ${end}`)
    end = offset + byteLength
    if (end > dataLength)
      throw refusal(`${subject}: its data ends at byte ${end}, but the file holds ${dataLength} bytes of data`)
  }
}

const chunkBytes = 2 ** 20

/** Decodes a tensor chunk by chunk: in addition to the result, only a few bytes of the packed form are held. */
const readBlocks = async (
  file: InputFile,
  start: number,
  { info, format, byteLength }: Placed<Blocks>,
): Promise<Float32Array> => {
  const out = new Float32Array(info.elements)
  const chunk = new Uint8Array(Math.min(byteLength, Math.floor(chunkBytes / format.bytes) * format.bytes))
  for (let done = 0; done < byteLength; done += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, byteLength - done))
    await file.readInto(part, start + done)
    format.dequantize(part, part.length / format.bytes, out, (done / format.bytes) * format.elements)
  }
  return out
}

const readValue = async (
  file: InputFile,
  start: number,
  { info, format, byteLength }: Placed,
): Promise<StoredValue> => {
  if (format.kind === 'blocks')
    return valueOf('f32', info.sizes, await readBlocks(file, start, { info, format, byteLength }))
  const filled = <T extends ArrayBufferView>(data: T): Promise<T> => fillFrom(file, start, data)
  switch (format.name) {
    case 'F32':
      return valueOf('f32', info.sizes, await filled(new Float32Array(info.elements)))
    case 'F16':
      return valueOf('f16', info.sizes, await filled(new Uint16Array(info.elements)))
    case 'BF16':
      return valueOf('bf16', info.sizes, await filled(new Uint16Array(info.elements)))
    case 'I32':
      return valueOf('i32', info.sizes, await filled(new Int32Array(info.elements)))
  }
}

/**
 * Opens a GGUF file (version 2 or 3, little endian): metadata and tensors under the file's own names, sizes outermost
 * first. Quantized tensors (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K) are read as float32. Errors: an
 * inconsistent or broken header, an unknown quantization; each names the tensor. Source: github.com/ggml-org/ggml,
 * docs/gguf.md.
 * @example const archive = await openGguf('SmolLM2-135M-Instruct.Q4_1.gguf')()
 */
export const openGguf = (path: string): TE.TaskEither<IoError, Archive> =>
  attempt(path, async () => {
    const file = await orThrow(openFile(path))
    try {
      const { metadata, infos, dataStart, alignment } = await readHeader(file)
      const placed = infos.map(info => place(path, info))
      checkLayout(path, placed, alignment, Math.max(0, file.size - dataStart))
      const entries = placed.map((tensor): [string, Entry] => {
        const {
          info: { name, sizes, offset },
          format,
          byteLength,
        } = tensor
        const start = dataStart + offset
        return [
          name,
          entryOf(
            file,
            start,
            { name, dtype: format.name, sizes, byteLength },
            () => readValue(file, start, tensor),
            format.elements,
          ),
        ]
      })
      return { path, tensors: new Map(entries), metadata, close: file.close }
    } catch (error) {
      await file.close()
      throw error
    }
  })

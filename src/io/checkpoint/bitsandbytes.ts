import { nf4Codebook } from '../../tensor/index.ts'
import { elementCount, showSizes, valueOf, type Entry } from './archive.ts'
import { parseJson } from '../../host/index.ts'
import { attempt, orThrow, refusal, isRecord, shown } from '../../text/index.ts'
import { finite } from './finite.ts'

/**
 * Reads weights that bitsandbytes packed in NF4, in a safetensors file. In addition to `x.weight` (two codes to a byte,
 * the first in the upper half) it contains `.absmax`, a scale for every block (if the scales are bytes, they have
 * scales and an offset of their own), `.quant_map`, `.nested_absmax`, `.nested_quant_map`, and a
 * `.quant_state.bitsandbytes__nf4`, JSON as bytes. Source: bitsandbytes, functional.py, `QuantState`.
 */

type Json = Readonly<Record<string, unknown>>

const { fround } = Math

/**
 * A config without its quantization field, if that is bitsandbytes' NF4.
 * @throws an `IoError` if it is anything else
 */
export const withoutQuantization = (json: Json, file: string): Json => {
  const { quantization_config: quantization, ...rest } = json
  if (quantization === undefined || quantization === null) return rest
  const due = { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' }
  if (!isRecord(quantization)) throw refusal(`${file}: quantization_config is not an object`)
  for (const [field, value] of Object.entries(due)) {
    const found = quantization[field]
    if (found !== value) {
      const is = `quantization_config.${field} is ${shown(found)}: expected ${JSON.stringify(value)}`
      throw refusal(`${file}: ${is}: of quantized weights, those in NF4 of bitsandbytes can be read`)
    }
  }
  return rest
}

const marker = /^(.+)\.quant_state\.bitsandbytes__(\w+)$/

/** The source of a quantized weight. */
interface Quantized {
  readonly weight: Entry
  readonly sizes: readonly number[]
  readonly count: number
  readonly block: number
  readonly absmax: Entry
  readonly nested:
    { readonly absmax: Entry; readonly map: Entry; readonly block: number; readonly offset: number } | undefined
}

type Find = (suffix: string) => Entry

/** Parses the state of one weight, and checks every number against the related tensors. */
const parseState = (subject: string, state: Json, weight: Entry, find: Find): Quantized => {
  const wrong = (field: string, due: string): Error =>
    refusal(`${subject}: ${field} of its quantization state is ${shown(state[field])}: expected ${due}`)
  const natural = (field: string): number => {
    const value = state[field]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) throw wrong(field, 'a block length')
    return value
  }
  const holds = ({ name, sizes }: Entry, due: number, what: string): void => {
    if (elementCount(sizes) !== due)
      throw refusal(`${subject}: ${name} has the sizes ${showSizes(sizes)}: expected ${due} ${what}`)
  }
  if (state['quant_type'] !== 'nf4') throw wrong('quant_type', '"nf4"')
  const { shape, nested_offset: offset } = state
  const count = Array.isArray(shape) ? elementCount(shape) : undefined
  if (!Array.isArray(shape) || count === undefined) throw wrong('shape', 'a list of sizes')
  if (weight.byteLength !== Math.ceil(count / 2)) {
    throw refusal(
      `${subject}: it has ${weight.byteLength} bytes: expected ${Math.ceil(count / 2)} for ${showSizes(shape)} in 4 bits`,
    )
  }
  const block = natural('blocksize')
  const blocks = Math.ceil(count / block)
  const absmax = find('absmax')
  const quantizedScales = absmax.dtype === 'U8'
  holds(find('quant_map'), 16, 'numbers')
  holds(absmax, blocks, 'scales of blocks')
  if (!quantizedScales) return { weight, sizes: shape, count, block, absmax, nested: undefined }
  const nestedBlock = natural('nested_blocksize')
  const nested = find('nested_absmax')
  const map = find('nested_quant_map')
  if (typeof offset !== 'number' || !Number.isFinite(fround(offset))) throw wrong('nested_offset', 'a number')
  holds(nested, Math.ceil(blocks / nestedBlock), 'scales of scales')
  holds(map, 256, 'numbers')
  return { weight, sizes: shape, count, block, absmax, nested: { absmax: nested, map, block: nestedBlock, offset } }
}

/** The scale of every block. */
const scalesOf = async ({ absmax, nested }: Quantized): Promise<Float32Array> => {
  if (nested === undefined) return orThrow(absmax.readF32())
  const codes = await absmax.readRaw(0, absmax.byteLength)
  const offset = fround(nested.offset)
  const scales = await orThrow(nested.absmax.readF32())
  const map = await orThrow(nested.map.readF32())
  return Float32Array.from(
    codes,
    (code, block) => fround(map[code]! * scales[Math.floor(block / nested.block)]!) + offset,
  )
}

const dequantized = async (quantized: Quantized): Promise<Float32Array> => {
  const { weight, count, block } = quantized
  const values = new Float32Array(count)
  const bytes = await weight.readRaw(0, weight.byteLength)
  const scales = await scalesOf(quantized)
  for (let b = 0, i = 0; i < count; b++) {
    const scale = scales[b]!
    const end = Math.min(count, i + block)
    for (; i < end; i++) values[i] = nf4Codebook[i % 2 === 0 ? bytes[i >>> 1]! >> 4 : bytes[i >>> 1]! & 15]! * scale
  }
  return values
}

/** An entry that reads as float32; its raw bytes are the codes in the file. */
const entryOf = (subject: string, quantized: Quantized): Entry => {
  const { weight, sizes, block } = quantized
  // a single scale that is not finite spoils its whole block
  const read = async () => finite(subject, valueOf('f32', sizes, await dequantized(quantized)), block)
  return {
    name: weight.name,
    dtype: 'NF4',
    sizes,
    byteLength: weight.byteLength,
    readRaw: weight.readRaw,
    read,
    readF32: () => attempt(subject, async () => (await read()).data),
  }
}

/**
 * The tensors of a file, in which the weights that bitsandbytes packed in NF4 read as float32; all others are
 * unchanged. Rejects with an `IoError` for another kind of quantization, a missing tensor of a packed weight, or a
 * wrong number of blocks.
 * @example await unpackedTensors('model.safetensors', archive.tensors)
 */
export const unpackedTensors = async (
  path: string,
  tensors: ReadonlyMap<string, Entry>,
): Promise<ReadonlyMap<string, Entry>> => {
  const unpacked = new Map(tensors)
  for (const [key, entry] of tensors) {
    const [, name, type] = marker.exec(key) ?? []
    if (name === undefined) continue
    const subject = `${path}: tensor ${name}`
    const weight = tensors.get(name)
    if (type !== 'nf4') throw refusal(`${subject}: it is quantized as ${type}: expected nf4`)
    if (weight === undefined) throw refusal(`${subject}: it is missing, but its quantization state is there`)
    const find: Find = suffix => tensors.get(`${name}.${suffix}`) ?? missing(subject, suffix)
    const state = parseJson(`${subject}: its quantization state`, await entry.readRaw(0, entry.byteLength))
    if (!isRecord(state)) throw refusal(`${subject}: its quantization state is not an object`)
    const quantized = parseState(subject, state, weight, find)
    if ((await orThrow(find('quant_map').readF32())).some((v, i) => v !== fround(nf4Codebook[i]!)))
      throw refusal(`${subject}: its quant_map is not that of nf4`)
    unpacked.set(name, entryOf(subject, quantized))
    for (const suffix of ['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map'])
      unpacked.delete(`${name}.${suffix}`)
    unpacked.delete(key)
  }
  return unpacked
}

const missing = (subject: string, suffix: string): never => {
  throw refusal(`${subject}: ${suffix} is missing beside it`)
}

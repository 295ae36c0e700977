import { refusal } from '../../text/index.ts'
import { bf16ToF32, f16ToF32 } from '../../tensor/index.ts'
import type { StoredValue } from './stored.ts'

/** Refuses infinite numbers and NaN: no file, answer or result contains them. */

/**
 * For each type, the bits of the exponent in a word of 32 bits, and the number whose addition carries into the sign if
 * all of these bits are set.
 */
const words = {
  f32: { exponent: 0x7f800000, carry: 0x00800000, sign: 0x80000000 },
  bf16: { exponent: 0x7f807f80, carry: 0x00800080, sign: 0x80008000 },
  f16: { exponent: 0x7c007c00, carry: 0x04000400, sign: 0x80008000 },
} as const

type Floats = Exclude<StoredValue, { readonly dtype: 'i32' }>

const asNumbers = ({ dtype, data }: Floats): Float32Array =>
  dtype === 'f32' ? data : dtype === 'f16' ? f16ToF32(data) : bf16ToF32(data)

/**
 * Tests whether every number is finite; it tests two to eight numbers per iteration, so that reading weights takes no
 * longer.
 */
const allFinite = ({ dtype, data }: Floats): boolean => {
  // data that was read is at the start of a buffer of its own; any other view is tested number by number
  if (data.byteOffset % 4 !== 0) return asNumbers({ dtype, data } as Floats).every(Number.isFinite)
  const { exponent, carry, sign } = words[dtype]
  const length = Math.floor(data.byteLength / 4)
  const bits = new Int32Array(data.buffer, data.byteOffset, length)
  let a = 0
  let b = 0
  let i = 0
  for (; i + 1 < length; i += 2) {
    a |= (bits[i]! & exponent) + carry
    b |= (bits[i + 1]! & exponent) + carry
  }
  if (i < length) a |= (bits[i]! & exponent) + carry
  const [last] = asNumbers({ dtype, data: data.subarray(data.length - 1) } as Floats)
  return ((a | b) & sign) === 0 && (last === undefined || Number.isFinite(last))
}

/** The place of an element, outermost first. */
const placeOf = (index: number, sizes: readonly number[]): string => {
  const place = sizes.reduceRight<{ readonly rest: number; readonly at: readonly number[] }>(
    ({ rest, at }, size) => ({ rest: Math.floor(rest / size), at: [rest % size, ...at] }),
    { rest: index, at: [] },
  )
  return `[${place.at.join(', ')}]`
}

/**
 * A tensor whose numbers are all finite; throws an `IoError` that names the first other number and its place. In a
 * tensor of blocks, in which one such number spoils the whole block, testing one in every `block` numbers is enough.
 * @example finite('model.safetensors: tensor model.norm.weight', value)
 */
export const finite = <V extends StoredValue>(subject: string, value: V, block = 1): V => {
  const { dtype, sizes } = value
  if (dtype === 'i32') return value
  if (block > 1 && dtype === 'f32') {
    const { data } = value
    let i = 0
    while (i < data.length && Number.isFinite(data[i])) i += block
    if (i >= data.length) return value
  } else if (allFinite(value)) return value
  const numbers = asNumbers(value)
  const index = numbers.findIndex(x => !Number.isFinite(x))
  throw refusal(`${subject}: it holds ${numbers[index]} at ${placeOf(index, sizes)}: expected a finite number`)
}

/** The name of a 16-bit type, the digits of its fraction, and its highest exponent. */
const halves = {
  bf16: { name: 'bfloat16', digits: 7, exponent: 127 },
  f16: { name: 'float16', digits: 10, exponent: 15 },
} as const

/**
 * Throws an `IoError` for a finite number that becomes an infinity in a 16-bit type.
 * @example checkRange('model.safetensors: tensor model.norm.weight', 'f16', [2], Float32Array.of(1, 1e5)) // throws
 */
export const checkRange = (
  subject: string,
  dtype: 'bf16' | 'f16',
  sizes: readonly number[],
  data: Float32Array,
): void => {
  const { name, digits, exponent } = halves[dtype]
  const upTo = (fraction: number): number => (2 - 2 ** -fraction) * 2 ** exponent
  // rounding up begins half a step above the largest number
  const limit = upTo(digits + 1)
  // a plain loop: all weights of a model pass through it, and a callback for each number takes seconds
  let index = 0
  while (index < data.length && !(Math.abs(data[index]!) >= limit)) index++
  if (index === data.length) return
  throw refusal(`${subject}: it holds ${data[index]} at ${placeOf(index, sizes)}, and ${name} ends at ${upTo(digits)}`)
}

/**
 * Converts between float32 and the two 16-bit formats, kept as raw words in a `Uint16Array`: bf16 (8 exponent bits, 7
 * of the fraction) and f16 (IEEE 754 binary16: 5 and 10).
 */

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length)

/** bf16 words as float32, exactly. @example bf16ToF32(Uint16Array.of(0x3f80))  // [1] */
export const bf16ToF32 = (words: Uint16Array, out = new Float32Array(words.length)): Float32Array => {
  const bits = bitsOf(out)
  for (let i = 0; i < words.length; i++) bits[i] = words[i]! << 16
  return out
}

/**
 * float32 as bf16 words, rounded to nearest, ties to even; a NaN stays a NaN.
 * @example f32ToBf16(Float32Array.of(1))
 */
export const f32ToBf16 = (values: Float32Array): Uint16Array => {
  const bits = bitsOf(values)
  const words = new Uint16Array(values.length)
  for (let i = 0; i < words.length; i++) {
    const x = bits[i]!
    words[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
  }
  return words
}

/** The float32 bits of one f16 word. */
const wideBits = (word: number): number => {
  const sign = (word & 0x8000) << 16
  const exponent = (word >>> 10) & 31
  const fraction = word & 0x3ff
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13)
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return sign
  const shift = Math.clz32(fraction) - 21 // a subnormal becomes normal: its leading bit moves to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
}

const buildTable = (): Float32Array => {
  const table = new Float32Array(65536)
  const bits = bitsOf(table)
  for (let word = 0; word < 65536; word++) bits[word] = wideBits(word)
  return table
}

let table: Float32Array | undefined
/** The float32 value of every f16 word (256 KiB, built at first use). */
export const f16Table = (): Float32Array => (table ??= buildTable())

/**
 * f16 words as float32, exactly, subnormals and infinities included.
 * @example f16ToF32(Uint16Array.of(0x3c00))  // [1]
 */
export const f16ToF32 = (words: Uint16Array, out = new Float32Array(words.length)): Float32Array => {
  const values = f16Table()
  for (let i = 0; i < words.length; i++) out[i] = values[words[i]!]!
  return out
}

/** The f16 word of float32 bits: rounded to nearest, ties to even; infinity from 65520 on. */
const narrowWord = (x: number): number => {
  const sign = (x >>> 16) & 0x8000
  const size = x & 0x7fffffff
  if (size >= 0x47800000) return size > 0x7f800000 ? sign | 0x7e00 : sign | 0x7c00 // 2^16, infinity and NaN
  if (size >= 0x38800000) {
    // normal in f16: at least 2^-14
    const r = size - 0x38000000
    return sign | ((r + 0xfff + ((r >>> 13) & 1)) >>> 13) // a carry goes into the exponent, as it should
  }
  if (size < 0x33000000) return sign // below half of the smallest subnormal, 2^-24
  const shift = 126 - (size >>> 23)
  const significand = (size & 0x7fffff) | 0x800000
  const quotient = significand >>> shift
  const rest = significand & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  return sign | (quotient + (rest > half || (rest === half && (quotient & 1) === 1) ? 1 : 0))
}

/** float32 as f16 words, rounded to nearest, ties to even. @example f32ToF16(Float32Array.of(1))  // [0x3c00] */
export const f32ToF16 = (values: Float32Array): Uint16Array => {
  const bits = bitsOf(values)
  const words = new Uint16Array(values.length)
  for (let i = 0; i < words.length; i++) words[i] = narrowWord(bits[i]!)
  return words
}

/**
 * float32 numbers rounded to a type; those for an integer type stay as they are.
 * @example roundedTo('bf16', Float32Array.of(1.001)) // [1]
 */
export const roundedTo = (dtype: 'f32' | 'bf16' | 'f16' | 'i32', values: Float32Array): Float32Array => {
  switch (dtype) {
    case 'bf16':
      return bf16ToF32(f32ToBf16(values))
    case 'f16':
      return f16ToF32(f32ToF16(values))
    case 'f32':
    case 'i32':
      return values
  }
}

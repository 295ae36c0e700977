import {
  dynamicMap,
  nf4Block,
  nf4Codebook,
  nf4NestedBlock,
  nf4Place,
  nf4Zero,
  packedLengths,
} from '../../tensor/index.ts'

/**
 * A quantized matrix in memory: the tensor room's `nf4.ts` describes the layout. Its last block may be padded with
 * zeros.
 */
export type PackedNF4 = { readonly codes: Int32Array } & Scales
/**
 * The scales of blocks in float32, or quantized in turn: bytes, four to a word, with scales of their own, from an
 * offset.
 */
export type Scales =
  | { readonly absmax: Float32Array }
  | { readonly absmax_codes: Int32Array; readonly nested_absmax: Float32Array; readonly nested_offset: Float32Array }

const { fround } = Math

/** The number of cells that the range from -1 to 1 is divided into, so that a search starts near its result. */
const cells = 4096

/**
 * The number of bounds below a value. The bounds lie halfway between neighbours of a table, so this is the index of the
 * nearest entry; halfway, the lower one.
 */
const nearestIn = (table: readonly number[]): ((value: number) => number) => {
  const bounds = Float64Array.from(table.slice(1), (above, i) => fround(fround(table[i]! + above) / 2))
  let below = 0
  const first = Uint8Array.from({ length: cells + 1 }, (_, cell) => {
    while (bounds[below]! < (2 * cell) / cells - 1) below++
    return below
  })
  return value => {
    let n = first[Math.max(0, Math.floor((value + 1) * (cells / 2)))]!
    while (value > bounds[n]!) n++
    return n
  }
}
const nearestCode = nearestIn(nf4Codebook)
const nearestScale = nearestIn(dynamicMap)

/** The largest magnitude of every run of `run` values. */
const largest = (values: Float32Array, run: number): Float32Array =>
  Float32Array.from({ length: Math.ceil(values.length / run) }, (_, block) => {
    let most = 0
    for (let i = block * run; i < Math.min(values.length, (block + 1) * run); i++)
      most = Math.max(most, Math.abs(values[i]!))
    return most
  })

/** The scale below which a block counts as zeros. */
const tiny = 1e-38

/**
 * Codes of a matrix, eight to a word. A whole block is multiplied by the reciprocal of its scale, an incomplete one
 * divided by the scale, as in bitsandbytes.
 */
const codesOf = (values: Float32Array, absmax: Float32Array): Int32Array => {
  const codes = new Int32Array(packedLengths(values.length).codes)
  for (let block = 0; block < absmax.length; block++) {
    const scale = Math.max(absmax[block]!, tiny)
    const reciprocal = fround(1 / scale)
    const whole = (block + 1) * nf4Block <= values.length
    for (let k = 0; k < nf4Block; k++) {
      const element = block * nf4Block + k
      const value = values[element] ?? 0
      const { word, shift } = nf4Place(element)
      codes[word]! |= nearestCode(fround(whole ? value * reciprocal : value / scale)) << shift
    }
  }
  return codes
}

/** The mean by 32 running sums in float32, as PyTorch computes it for small tensors: its last bit decides codes. */
const meanOf = (values: Float32Array): number => {
  const sums = new Float32Array(32)
  values.forEach((v, i) => {
    sums[i % 32]! += v
  })
  const lanes = sums.subarray(0, 8).map((sum, i) => fround(fround(sum + sums[8 + i]!) + sums[16 + i]!) + sums[24 + i]!)
  return lanes.reduce((sum, lane) => fround(sum + lane), 0) / Math.max(1, values.length)
}

const nestedScales = (absmax: Float32Array): Scales => {
  const nested_offset = Float32Array.of(meanOf(absmax))
  const around = absmax.map(a => a - nested_offset[0]!)
  const nested_absmax = largest(around, nf4NestedBlock)
  const absmax_codes = new Int32Array(packedLengths(absmax.length * nf4Block).absmaxCodes)
  around.forEach((a, block) => {
    const scale = Math.max(nested_absmax[Math.floor(block / nf4NestedBlock)]!, tiny)
    absmax_codes[block >> 2]! |= nearestScale(fround(a / scale)) << (8 * (block & 3))
  })
  return { absmax_codes, nested_absmax, nested_offset }
}

/**
 * Quantizes a matrix, flattened as in its file (`[out, in]` for PyTorch weights), to 4 bits per element with a scale
 * for every 64. With `double` the scales take 8 bits each, 4.127 bits per element in all. Equal to bitsandbytes'
 * `quantize_4bit` with blocks of 64, except that for about one scale in five hundred its CPU kernel picks a neighbour
 * of the nearest of the 256 numbers.
 * @example const packed = quantizeNF4(weights, { double: true })
 */
export const quantizeNF4 = (values: Float32Array, { double }: { readonly double: boolean }): PackedNF4 => {
  const absmax = largest(values, nf4Block)
  return { codes: codesOf(values, absmax), ...(double ? nestedScales(absmax) : { absmax }) }
}

/** The scale of every block, in float32. */
export const blockScales = (packed: PackedNF4): Float32Array => {
  if ('absmax' in packed) return packed.absmax
  const { absmax_codes: codes, nested_absmax, nested_offset } = packed
  const [offset = 0] = nested_offset
  const scales = new Float32Array(packed.codes.length / 8)
  for (let block = 0; block < scales.length; block++) {
    scales[block] =
      fround(dynamicMap[(codes[block >> 2]! >>> (8 * (block & 3))) & 255]! * nested_absmax[block >> 8]!) + offset
  }
  return scales
}

/**
 * The first elements of a packed matrix, in float32: codebook[code] · absmax.
 * @example dequantizeNF4(quantizeNF4(weights, { double: false }), weights.length)
 */
export const dequantizeNF4 = (packed: PackedNF4, count = 8 * packed.codes.length): Float32Array => {
  const scales = blockScales(packed)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const { word, shift } = nf4Place(i)
    values[i] = nf4Codebook[(packed.codes[word]! >>> shift) & 15]! * scales[Math.floor(i / nf4Block)]!
  }
  return values
}

/**
 * Codes as bitsandbytes writes them: two to a byte, the first in the upper half.
 * @example nf4Bytes(quantizeNF4(weights, { double: true }))
 */
export const nf4Bytes = ({ codes }: PackedNF4, count = 8 * codes.length): Uint8Array => {
  const codeAt = (element: number): number => {
    const { word, shift } = nf4Place(element)
    return (codes[word]! >>> shift) & 15
  }
  return Uint8Array.from({ length: Math.ceil(count / 2) }, (_, i) => (codeAt(2 * i) << 4) | codeAt(2 * i + 1))
}

/** The inverse of {@link nf4Bytes}: `count` codes in memory, from bitsandbytes' bytes. */
export const nf4Codes = (bytes: Uint8Array, count: number): Int32Array => {
  const codes = new Int32Array(packedLengths(count).codes)
  const blocks = codes.length * 8
  for (let i = 0; i < blocks; i++) {
    const { word, shift } = nf4Place(i)
    const code = i < count ? (bytes[i >> 1]! >>> (i % 2 === 0 ? 4 : 0)) & 15 : nf4Zero
    codes[word]! |= code << shift
  }
  return codes
}

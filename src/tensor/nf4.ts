/**
 * NF4: sixteen numbers, quantiles of a normal distribution, times a scale for every 64 elements. This file defines the
 * numbers and their layout in memory; `quantizeNF4` of the tune room packs them. Source: QLoRA, arXiv 2305.14314;
 * bitsandbytes, functional.py.
 *
 * In memory codes are i32 words of 8. A block of 64 elements is 8 words, and its element 8 k + j is bits 4 k to 4 k + 3
 * of word j: one shift of neighbouring words gives neighbouring elements. Quantized scales ("double quantization") are
 * bytes, four to a word, the first in the lowest bits. An incomplete last block is padded with zeros.
 */

/** The number of elements that share one scale. */
export const nf4Block = 64
/** The number of scales that share a scale of their own, if scales are quantized too. */
export const nf4NestedBlock = 256

/** The values of the 16 codes. */
export const nf4Codebook: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
]
/** The code of zero. */
export const nf4Zero = 7

const { fround } = Math
/** Equidistant numbers from 0.1 to 1, in float32, computed from both ends as PyTorch does. */
const spaced = (n: number): readonly number[] => {
  const start = fround(0.1)
  const step = fround(fround(1 - start) / (n - 1))
  return Array.from({ length: n }, (_, i) => fround(i < n / 2 - 0.5 ? start + step * i : 1 - step * (n - 1 - i)))
}

/**
 * The values of the 256 codes of a quantized scale: bitsandbytes' signed dynamic map, in which every decade has twice
 * as many numbers as the one below.
 */
export const dynamicMap: readonly number[] = Array.from({ length: 7 }, (_, decade) => {
  const bounds = spaced(2 ** decade + 1)
  const unit = fround(10 ** (decade - 6))
  return bounds.slice(1).map((bound, i) => fround(unit * fround(fround(bounds[i]! + bound) / 2)))
})
  .flat()
  .flatMap(v => [v, -v])
  .concat(0, 1)
  .sort((a, b) => a - b)

/**
 * The word that contains the code of an element, and its shift in bits.
 * @example const { word, shift } = nf4Place(70); const code = (codes[word]! >>> shift) & 15
 */
export const nf4Place = (element: number): { readonly word: number; readonly shift: number } => ({
  word: 8 * Math.floor(element / nf4Block) + (element & 7),
  shift: 4 * ((element >> 3) & 7),
})

/** The lengths of the vectors that n elements are packed into. */
export interface PackedLengths {
  readonly codes: number
  readonly blocks: number
  readonly absmaxCodes: number
  readonly nestedAbsmax: number
}
export const packedLengths = (n: number): PackedLengths => {
  const blocks = Math.ceil(n / nf4Block)
  return {
    codes: 8 * blocks,
    blocks,
    absmaxCodes: Math.ceil(blocks / 4),
    nestedAbsmax: Math.ceil(blocks / nf4NestedBlock),
  }
}

/**
 * Decodes the block formats of ggml, from packed bytes to float32. Formulas: github.com/ggml-org/llama.cpp,
 * gguf-py/gguf/quants.py. d, m, dmin are f16; q an integer code.
 *
 *   Q8_0  32 per block   d q                    Q4_0  d (q - 8)        Q4_1  d q + m
 *   Q5_0  d (q - 16)     Q5_1  d q + m          Q4_K, Q5_K  256 per block, eight groups of 32: d sc q - dmin mn
 *   Q6_K  256 per block, sixteen groups of 16: d sc (q - 32)
 *
 * In the 32-blocks the low nibble of byte i is element i, the high one element i + 16.
 * Products of these short factors are exact in float64, so every result is rounded once, when it is stored.
 */
import { f16Table } from '../../tensor/index.ts'

/** Decodes `blocks` blocks from `bytes` into `out` from index `at` on. */
export type Dequantize = (bytes: Uint8Array, blocks: number, out: Float32Array, at: number) => void

const half = (table: Float32Array, bytes: Uint8Array, i: number): number => table[bytes[i]! | (bytes[i + 1]! << 8)]!

/** Q8_0: d, 32 signed bytes. */
export const q8_0: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 34, k += 32) {
    const d = half(table, bytes, p)
    for (let i = 0; i < 32; i++) out[k + i] = d * ((bytes[p + 2 + i]! << 24) >> 24)
  }
}

/** Q4_0: d, 16 bytes of nibbles. */
export const q4_0: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 18, k += 32) {
    const d = half(table, bytes, p)
    for (let i = 0; i < 16; i++) {
      const q = bytes[p + 2 + i]!
      out[k + i] = d * ((q & 15) - 8)
      out[k + i + 16] = d * ((q >> 4) - 8)
    }
  }
}

/** Q4_1: d, m, 16 bytes of nibbles. */
export const q4_1: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 20, k += 32) {
    const d = half(table, bytes, p)
    const m = half(table, bytes, p + 2)
    for (let i = 0; i < 16; i++) {
      const q = bytes[p + 4 + i]!
      out[k + i] = d * (q & 15) + m
      out[k + i + 16] = d * (q >> 4) + m
    }
  }
}

const word = (bytes: Uint8Array, i: number): number =>
  bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)

/** Q5_0: d, 32 fifth bits, 16 bytes of nibbles. */
export const q5_0: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 22, k += 32) {
    const d = half(table, bytes, p)
    const high = word(bytes, p + 2)
    for (let i = 0; i < 16; i++) {
      const q = bytes[p + 6 + i]!
      out[k + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16)
      out[k + i + 16] = d * (((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16)
    }
  }
}

/** Q5_1: d, m, 32 fifth bits, 16 bytes of nibbles. */
export const q5_1: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 24, k += 32) {
    const d = half(table, bytes, p)
    const m = half(table, bytes, p + 2)
    const high = word(bytes, p + 4)
    for (let i = 0; i < 16; i++) {
      const q = bytes[p + 8 + i]!
      out[k + i] = d * ((q & 15) | (((high >>> i) & 1) << 4)) + m
      out[k + i + 16] = d * ((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m
    }
  }
}

/** The 6-bit scale of group j out of the 12 bytes at s, shared by Q4_K and Q5_K. */
const scale = (bytes: Uint8Array, s: number, j: number): number =>
  j < 4 ? bytes[s + j]! & 63 : (bytes[s + j + 4]! & 15) | ((bytes[s + j - 4]! >> 6) << 4)
/** The 6-bit minimum of group j. */
const minimum = (bytes: Uint8Array, s: number, j: number): number =>
  j < 4 ? bytes[s + j + 4]! & 63 : (bytes[s + j + 4]! >> 4) | ((bytes[s + j]! >> 6) << 4)

/**
 * Q4_K: d, dmin, 12 bytes of scales and minima, 128 bytes of nibbles; 32 bytes hold groups 2c (low) and 2c + 1 (high).
 */
export const q4_k: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 144, k += 256) {
    const d = half(table, bytes, p)
    const dmin = half(table, bytes, p + 2)
    for (let c = 0; c < 4; c++) {
      const d0 = d * scale(bytes, p + 4, 2 * c)
      const m0 = dmin * minimum(bytes, p + 4, 2 * c)
      const d1 = d * scale(bytes, p + 4, 2 * c + 1)
      const m1 = dmin * minimum(bytes, p + 4, 2 * c + 1)
      const from = p + 16 + 32 * c
      const to = k + 64 * c
      for (let i = 0; i < 32; i++) {
        const q = bytes[from + i]!
        out[to + i] = d0 * (q & 15) - m0
        out[to + i + 32] = d1 * (q >> 4) - m1
      }
    }
  }
}

/** Q5_K: as Q4_K with 32 bytes of fifth bits before the nibbles; bit j of byte i belongs to element i of group j. */
export const q5_k: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 176, k += 256) {
    const d = half(table, bytes, p)
    const dmin = half(table, bytes, p + 2)
    for (let c = 0; c < 4; c++) {
      const d0 = d * scale(bytes, p + 4, 2 * c)
      const m0 = dmin * minimum(bytes, p + 4, 2 * c)
      const d1 = d * scale(bytes, p + 4, 2 * c + 1)
      const m1 = dmin * minimum(bytes, p + 4, 2 * c + 1)
      const from = p + 48 + 32 * c
      const to = k + 64 * c
      for (let i = 0; i < 32; i++) {
        const q = bytes[from + i]!
        const high = bytes[p + 16 + i]! >> (2 * c)
        out[to + i] = d0 * ((q & 15) | ((high & 1) << 4)) - m0
        out[to + i + 32] = d1 * ((q >> 4) | ((high & 2) << 3)) - m1
      }
    }
  }
}

/**
 * Q6_K: 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales, d. Two halves of 128 elements, four strips of
 * 32 each.
 */
export const q6_k: Dequantize = (bytes, blocks, out, at) => {
  const table = f16Table()
  for (let b = 0, p = 0, k = at; b < blocks; b++, p += 210, k += 256) {
    const d = half(table, bytes, p + 208)
    for (let h = 0; h < 2; h++) {
      const low = p + 64 * h
      const high = p + 128 + 32 * h
      const scales = p + 192 + 8 * h
      const to = k + 128 * h
      for (let i = 0; i < 32; i++) {
        const s = scales + (i >> 4)
        const l0 = bytes[low + i]!
        const l1 = bytes[low + i + 32]!
        const h4 = bytes[high + i]!
        out[to + i] = d * ((bytes[s]! << 24) >> 24) * (((l0 & 15) | ((h4 & 3) << 4)) - 32)
        out[to + i + 32] = d * ((bytes[s + 2]! << 24) >> 24) * (((l1 & 15) | (((h4 >> 2) & 3) << 4)) - 32)
        out[to + i + 64] = d * ((bytes[s + 4]! << 24) >> 24) * (((l0 >> 4) | (((h4 >> 4) & 3) << 4)) - 32)
        out[to + i + 96] = d * ((bytes[s + 6]! << 24) >> 24) * (((l1 >> 4) | ((h4 >> 6) << 4)) - 32)
      }
    }
  }
}

import { addUp, gamma, minusDown, overUp, timesUp } from './rounding.ts'
import type { Enclosure } from './eigenvalue.ts'

/** Rows of float32 features, each with the weight of its row. */
export interface WeightedRows {
  readonly width: number
  readonly features: Float32Array
  readonly weights: ArrayLike<number>
}

/**
 * Σ w x xᵀ over rows, in float64, with a bound of its rounding error. A product of two float32 numbers is exact in
 * float64; a term has at most two roundings, of w x and of that times x, and takes part in at most one addition a row.
 * Over m rows every element is then within γₘ₊₂ Σ |w xᵢ xⱼ| of its true value; the Frobenius norm of that is at most
 * γₘ₊₂ Σ w ‖x‖², γₘ₊₂ times the true trace, and the computed trace is at least 1 − γₘ₊₂ times that. Rows of weight 0
 * take no part.
 */
export const gramMatrix = (size: number, parts: readonly WeightedRows[]): Enclosure => {
  const data = new Float64Array(size * size)
  let rows = 0
  for (const { width, features, weights } of parts) {
    for (let row = 0; row * width < features.length; row++) {
      const w = weights[row]!
      const at = row * width
      if (w === 0) continue
      rows++
      for (let i = 0; i < width; i++) {
        const scaled = w * features[at + i]!
        if (scaled === 0) continue
        for (let j = i; j < width; j++) data[i * size + j]! += scaled * features[at + j]!
      }
    }
  }
  const factor = gamma(rows + 2)
  let trace = 0
  for (let i = 0; i < size; i++) {
    trace = addUp(trace, data[i * size + i]!)
    for (let j = 0; j < i; j++) data[i * size + j] = data[j * size + i]!
  }
  return { size, data, radius: data.every(x => x === 0) ? 0 : timesUp(overUp(factor, minusDown(1, factor)), trace) }
}

/** The upper triangle of a matrix, row by row, as base64 of little-endian float64. */
export const packed = ({ size, data }: Enclosure): string => {
  const bytes = new DataView(new ArrayBuffer(4 * size * (size + 1)))
  let next = 0
  for (let i = 0; i < size; i++)
    for (let j = i; j < size; j++) {
      bytes.setFloat64(next, data[i * size + j]!, true)
      next += 8
    }
  return Buffer.from(bytes.buffer).toString('base64')
}

/** The matrix of an upper triangle, or undefined if the text is not one of finite numbers. */
export const unpacked = (size: number, gram: string): Float64Array | undefined => {
  const bytes = Buffer.from(gram, 'base64')
  if (
    !Number.isSafeInteger(size) ||
    size <= 0 ||
    bytes.length !== 4 * size * (size + 1) ||
    bytes.toString('base64') !== gram
  )
    return undefined
  const data = new Float64Array(size * size)
  let next = 0
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) {
      data[i * size + j] = data[j * size + i] = bytes.readDoubleLE(next)
      next += 8
    }
  }
  return data.every(Number.isFinite) ? data : undefined
}

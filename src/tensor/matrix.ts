/**
 * rows × columns → columns × rows, in blocks that fit the cache.
 * @example transposeMatrix(Float32Array.of(1, 2), 1, 2)
 */
export const transposeMatrix = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length)
  const block = 32
  for (let r0 = 0; r0 < rows; r0 += block) {
    const r1 = Math.min(rows, r0 + block)
    for (let c0 = 0; c0 < columns; c0 += block) {
      const c1 = Math.min(columns, c0 + block)
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) out[c * rows + r] = data[r * columns + c]!
    }
  }
  return out
}

// Moving rows, columns and blocks. Element type does not matter as long as it has 4 bytes; index is i32 and must be in range.
import { copyRun } from './transpose'

/** `count` runs of `length` elements, their starts inStride and outStride elements apart: slices, concatenations, pads. */
export function copyBlocks(input: usize, output: usize, count: i32, length: i32, inStride: i32, outStride: i32): void {
  for (let i = 0; i < count; i++) {
    copyRun(input + ((<usize>i * inStride) << 2), output + ((<usize>i * outStride) << 2), (<usize>length) << 2)
  }
}

/** The position of the first index outside 0 .. size - 1, or -1. Call it before any kernel that takes an index. */
export function firstOutOfRange(index: usize, count: i32, size: i32): i32 {
  for (let i = 0; i < count; i++) if (load<u32>(index + ((<usize>i) << 2)) >= <u32>size) return i
  return -1
}

/** out[i, :] = in[index[i], :]. */
export function takeRows(input: usize, index: usize, output: usize, count: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  for (let i = 0; i < count; i++) {
    copyRun(input + <usize>load<i32>(index + ((<usize>i) << 2)) * bytes, output + <usize>i * bytes, bytes)
  }
}

/** out[index[i], :] = in[i, :]; the last one wins where an index occurs twice. */
export function putRows(input: usize, index: usize, output: usize, count: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  for (let i = 0; i < count; i++) {
    copyRun(input + <usize>i * bytes, output + <usize>load<i32>(index + ((<usize>i) << 2)) * bytes, bytes)
  }
}

/** out[index[i], :] += in[i, :]. */
export function scatterAddRows(input: usize, index: usize, output: usize, count: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  for (let i = 0; i < count; i++) {
    let p = input + <usize>i * bytes
    let q = output + <usize>load<i32>(index + ((<usize>i) << 2)) * bytes
    const end = p + bytes
    for (; p + 16 <= end; p += 16, q += 16) v128.store(q, f32x4.add(v128.load(p), v128.load(q)))
    for (; p < end; p += 4, q += 4) store<f32>(q, load<f32>(p) + load<f32>(q))
  }
}

/** out[r, i] = in[r, index[i]]; in has `cols` columns, out `count`. */
export function takeColumns(input: usize, index: usize, output: usize, rows: i32, cols: i32, count: i32): void {
  for (let r = 0; r < rows; r++) {
    const p = input + ((<usize>r * cols) << 2)
    const q = output + ((<usize>r * count) << 2)
    for (let i: usize = 0; i < <usize>count; i++) store<i32>(q + (i << 2), load<i32>(p + ((<usize>load<i32>(index + (i << 2))) << 2)))
  }
}

/** out[r, index[i]] = in[r, i]; out has `cols` columns, in `count`. */
export function putColumns(input: usize, index: usize, output: usize, rows: i32, cols: i32, count: i32): void {
  for (let r = 0; r < rows; r++) {
    const p = input + ((<usize>r * count) << 2)
    const q = output + ((<usize>r * cols) << 2)
    for (let i: usize = 0; i < <usize>count; i++) store<i32>(q + ((<usize>load<i32>(index + (i << 2))) << 2), load<i32>(p + (i << 2)))
  }
}

/** out[r, index[i]] += in[r, i]; out has `cols` columns, in `count`. */
export function scatterAddColumns(input: usize, index: usize, output: usize, rows: i32, cols: i32, count: i32): void {
  for (let r = 0; r < rows; r++) {
    const p = input + ((<usize>r * count) << 2)
    const q = output + ((<usize>r * cols) << 2)
    for (let i: usize = 0; i < <usize>count; i++) {
      const at = q + ((<usize>load<i32>(index + (i << 2))) << 2)
      store<f32>(at, load<f32>(at) + load<f32>(p + (i << 2)))
    }
  }
}

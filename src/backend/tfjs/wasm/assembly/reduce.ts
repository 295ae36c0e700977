// Reductions. Partial sums and maxima have four lanes.
import { add, keepPart, loadPart, maxLanes, sumLanes } from './lanes'

@inline
function sumOf(p: usize, n: i32): f32 {
  let a = f32x4.splat(0)
  let b = a
  let k = 0
  for (; k + 8 <= n; k += 8, p += 32) {
    a = add(a, v128.load(p))
    b = add(b, v128.load(p, 16))
  }
  let sum = sumLanes(add(a, b))
  for (; k < n; k++, p += 4) sum += load<f32>(p)
  return sum
}

/** out[r] = sum of in[r, :]. */
export function sumRows(input: usize, output: usize, rows: i32, cols: i32): void {
  for (let r = 0; r < rows; r++, input += (<usize>cols) << 2, output += 4) store<f32>(output, sumOf(input, cols))
}

/** out[b, c] = sum over r of in[b, r, c]: any axis but the last, as `rows`. */
export function sumColumns(input: usize, output: usize, batch: i32, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  for (let b = 0; b < batch; b++, output += bytes) {
    memory.fill(output, 0, bytes)
    for (let r = 0; r < rows; r++, input += bytes) {
      for (let k: usize = 0; k < whole; k += 16) v128.store(output + k, add(v128.load(output + k), v128.load(input + k)))
      for (let k = whole; k < bytes; k += 4) store<f32>(output + k, load<f32>(output + k) + load<f32>(input + k))
    }
  }
}

/** The largest of n elements, NaN if one of them is. */
function highest(p: usize, n: i32): f32 {
  let k = 0
  let m = f32x4.splat(-Infinity)
  for (; k + 4 <= n; k += 4, p += 16) m = f32x4.max(m, v128.load(p))
  if (k < n) m = f32x4.max(m, keepPart(loadPart(p, n - k), f32x4.splat(-Infinity), n - k))
  return maxLanes(m)
}

/** out[r] = the largest of in[r, :], NaN where one of them is. */
export function maxRows(input: usize, output: usize, rows: i32, cols: i32): void {
  for (let r = 0; r < rows; r++, input += (<usize>cols) << 2, output += 4) store<f32>(output, highest(input, cols))
}

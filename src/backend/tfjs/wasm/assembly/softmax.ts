// Softmax over the last axis, and its backward. Input and output may be the same buffer.
import { add, keepPart, loadPart, maxLanes, mul, storePart, sub, sumLanes } from './lanes'
import { fill } from './elementwise'
import { expNegative4 } from './math'

/** The largest of n >= 1 elements. NaN may be passed over: it reappears in the exponentials. */
export function maxOf(p: usize, n: i32): f32 {
  let k = 0
  let m = f32x4.splat(-Infinity)
  let m2 = m
  for (; k + 8 <= n; k += 8, p += 32) {
    m = f32x4.pmax(m, v128.load(p))
    m2 = f32x4.pmax(m2, v128.load(p, 16))
  }
  m = f32x4.pmax(m, m2)
  if (k + 4 <= n) {
    m = f32x4.pmax(m, v128.load(p))
    k += 4
    p += 16
  }
  if (k < n) m = f32x4.pmax(m, keepPart(loadPart(p, n - k), f32x4.splat(-Infinity), n - k))
  return maxLanes(m)
}

/** Stores e^(scale * (x - max)) of n elements and returns their sum. */
@inline
function expRow(p: usize, q: usize, n: i32, scale: f32, top: f32): f32 {
  const s = f32x4.splat(scale)
  const m = f32x4.splat(top)
  let total = f32x4.splat(0)
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16, q += 16) {
    const e = expNegative4(mul(s, sub(v128.load(p), m)))
    v128.store(q, e)
    total = add(total, e)
  }
  if (k < n) {
    const e = expNegative4(mul(s, sub(loadPart(p, n - k), m)))
    storePart(q, e, n - k)
    total = add(total, keepPart(e, f32x4.splat(0), n - k))
  }
  return sumLanes(total)
}

@inline
function scaleRow(q: usize, n: i32, factor: f32): void {
  const f = f32x4.splat(factor)
  let k = 0
  for (; k + 4 <= n; k += 4, q += 16) v128.store(q, mul(v128.load(q), f))
  for (; k < n; k++, q += 4) store<f32>(q, load<f32>(q) * factor)
}

/**
 * The softmax of the last axis of [rows, cols] over what is at least `lowest`; the rest is 0, and so is a row without any. The largest
 * exponential of a row is 1, so no other sum is below that.
 */
export function softmaxVisible(input: usize, output: usize, rows: i32, cols: i32, lowest: f32): void {
  const bytes = (<usize>cols) << 2
  for (let r = 0; r < rows; r++, input += bytes, output += bytes) {
    const total = expRow(input, output, cols, 1, max<f32>(maxOf(input, cols), lowest))
    scaleRow(output, cols, 1 / max<f32>(total, 1))
  }
}

/** out = softmax(scale * in) over the last axis of [rows, cols]; scale > 0. */
export function softmax(input: usize, output: usize, rows: i32, cols: i32, scale: f32): void {
  const bytes = (<usize>cols) << 2
  for (let r = 0; r < rows; r++, input += bytes, output += bytes) {
    scaleRow(output, cols, 1 / expRow(input, output, cols, scale, maxOf(input, cols)))
  }
}

/** The number of keys that a query at a position sees. */
@inline
function seenBy(position: i32, keys: i32): i32 { return position < 0 ? 0 : position < keys ? position + 1 : keys }

/**
 * out = softmax(scale * in) under the causal mask; scale > 0. Row r belongs to the query at position start + r % queries, and sees the
 * keys 0 .. position; the others get 0.
 */
export function softmaxCausal(input: usize, output: usize, rows: i32, cols: i32, scale: f32, queries: i32, start: i32): void {
  const bytes = (<usize>cols) << 2
  for (let r = 0; r < rows; r++, input += bytes, output += bytes) {
    const seen = seenBy(start + r % queries, cols)
    // a query that sees nothing attends to everything equally, as if all scores were equal
    if (seen == 0) {
      fill(output, cols, 1 / <f32>cols)
      continue
    }
    const inverse: f32 = 1 / expRow(input, output, seen, scale, maxOf(input, seen))
    scaleRow(output, seen, inverse)
    // 0, or NaN in a row that contains one
    if (seen < cols) fill(output + ((<usize>seen) << 2), cols - seen, inverse * 0)
  }
}

@inline
function dotRow(p: usize, q: usize, n: i32): f32 {
  let total = f32x4.splat(0)
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16, q += 16) total = add(total, mul(v128.load(p), v128.load(q)))
  let sum = sumLanes(total)
  for (; k < n; k++, p += 4, q += 4) sum += load<f32>(p) * load<f32>(q)
  return sum
}

@inline
function softmaxBackwardRow(p: usize, dp: usize, ds: usize, n: i32, scale: f32): void {
  const dot = dotRow(p, dp, n)
  const d = f32x4.splat(dot)
  const s = f32x4.splat(scale)
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16, dp += 16, ds += 16) {
    v128.store(ds, mul(mul(s, v128.load(p)), sub(v128.load(dp), d)))
  }
  for (; k < n; k++, p += 4, dp += 4, ds += 4) store<f32>(ds, scale * load<f32>(p) * (load<f32>(dp) - dot))
}

/** ds = scale * p * (dp - sum(p * dp)) over the last axis: the gradient by `in` of softmax(scale * in) = p. */
export function softmaxBackward(p: usize, dp: usize, ds: usize, rows: i32, cols: i32, scale: f32): void {
  const bytes = (<usize>cols) << 2
  for (let r = 0; r < rows; r++, p += bytes, dp += bytes, ds += bytes) softmaxBackwardRow(p, dp, ds, cols, scale)
}

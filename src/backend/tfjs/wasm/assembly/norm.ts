// Norms over the last axis, forward and backward, each row in a few passes that stay in the first-level cache.
import { add, mul, sub, sumLanes } from './lanes'

/** y = x * rstd * g with rstd = 1 / sqrt(mean(x^2) + eps), for x [rows, cols], g [cols]; rstd [rows] is kept for the backward. */
export function rmsNorm(x: usize, g: usize, y: usize, rstd: usize, rows: i32, cols: i32, eps: f32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  for (let r = 0; r < rows; r++, x += bytes, y += bytes, rstd += 4) {
    let squares = f32x4.splat(0)
    for (let k: usize = 0; k < whole; k += 16) {
      const v = v128.load(x + k)
      squares = add(squares, mul(v, v))
    }
    let sum = sumLanes(squares)
    for (let k = whole; k < bytes; k += 4) sum += load<f32>(x + k) * load<f32>(x + k)
    const factor: f32 = <f32>1 / sqrt<f32>(sum / <f32>cols + eps)
    store<f32>(rstd, factor)
    const f = f32x4.splat(factor)
    for (let k: usize = 0; k < whole; k += 16) v128.store(y + k, mul(mul(v128.load(x + k), f), v128.load(g + k)))
    for (let k = whole; k < bytes; k += 4) store<f32>(y + k, load<f32>(x + k) * factor * load<f32>(g + k))
  }
}

/**
 * dx = rstd * (g * dy) - x * rstd^3 * mean(g * dy * x). With `accumulate` the gradient is added to what dx holds (the residual branch's).
 * dx may be dy's buffer when it does not accumulate.
 */
export function rmsNormBackward(
  dy: usize, x: usize, g: usize, rstd: usize, dx: usize, rows: i32, cols: i32, accumulate: bool
): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  for (let r = 0; r < rows; r++, x += bytes, dy += bytes, dx += bytes, rstd += 4) {
    let products = f32x4.splat(0)
    for (let k: usize = 0; k < whole; k += 16) products = add(products, mul(mul(v128.load(g + k), v128.load(dy + k)), v128.load(x + k)))
    let dot = sumLanes(products)
    for (let k = whole; k < bytes; k += 4) dot += load<f32>(g + k) * load<f32>(dy + k) * load<f32>(x + k)
    const factor = load<f32>(rstd)
    const pull: f32 = dot * factor * factor * factor / <f32>cols
    const f = f32x4.splat(factor)
    const c = f32x4.splat(pull)
    for (let k: usize = 0; k < whole; k += 16) {
      let d = sub(mul(f, mul(v128.load(g + k), v128.load(dy + k))), mul(c, v128.load(x + k)))
      if (accumulate) d = add(d, v128.load(dx + k))
      v128.store(dx + k, d)
    }
    for (let k = whole; k < bytes; k += 4) {
      let d = factor * load<f32>(g + k) * load<f32>(dy + k) - pull * load<f32>(x + k)
      if (accumulate) d += load<f32>(dx + k)
      store<f32>(dx + k, d)
    }
  }
}

@inline
function sumOf(p: usize, bytes: usize): f32 {
  const whole = bytes & ~15
  let lanes = f32x4.splat(0)
  for (let k: usize = 0; k < whole; k += 16) lanes = add(lanes, v128.load(p + k))
  let sum = sumLanes(lanes)
  for (let k = whole; k < bytes; k += 4) sum += load<f32>(p + k)
  return sum
}

/** The sum of (p - m)^2. */
@inline
function squaresAround(p: usize, bytes: usize, m: f32): f32 {
  const whole = bytes & ~15
  const middle = f32x4.splat(m)
  let lanes = f32x4.splat(0)
  for (let k: usize = 0; k < whole; k += 16) {
    const c = sub(v128.load(p + k), middle)
    lanes = add(lanes, mul(c, c))
  }
  let sum = sumLanes(lanes)
  for (let k = whole; k < bytes; k += 4) sum += (load<f32>(p + k) - m) * (load<f32>(p + k) - m)
  return sum
}

/** y = (x - mean) * rstd with rstd = 1 / sqrt(mean((x - mean)^2) + eps), for x [rows, cols]. y may be x's buffer. */
export function standardize(x: usize, y: usize, rows: i32, cols: i32, eps: f32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  for (let r = 0; r < rows; r++, x += bytes, y += bytes) {
    const mean: f32 = sumOf(x, bytes) / <f32>cols
    const factor: f32 = <f32>1 / sqrt<f32>(squaresAround(x, bytes, mean) / <f32>cols + eps)
    const m = f32x4.splat(mean)
    const f = f32x4.splat(factor)
    for (let k: usize = 0; k < whole; k += 16) v128.store(y + k, mul(sub(v128.load(x + k), m), f))
    for (let k = whole; k < bytes; k += 4) store<f32>(y + k, (load<f32>(x + k) - mean) * factor)
  }
}

/** dx = rstd * (dy - mean(dy) - y * mean(dy * y)), for the y and rstd of x above. dx may be the buffer of dy or x. */
export function standardizeBackward(dy: usize, x: usize, dx: usize, rows: i32, cols: i32, eps: f32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  for (let r = 0; r < rows; r++, dy += bytes, x += bytes, dx += bytes) {
    const mean: f32 = sumOf(x, bytes) / <f32>cols
    const factor: f32 = <f32>1 / sqrt<f32>(squaresAround(x, bytes, mean) / <f32>cols + eps)
    const drift: f32 = sumOf(dy, bytes) / <f32>cols
    const m = f32x4.splat(mean)
    let products = f32x4.splat(0)
    for (let k: usize = 0; k < whole; k += 16) products = add(products, mul(v128.load(dy + k), sub(v128.load(x + k), m)))
    let dot = sumLanes(products)
    for (let k = whole; k < bytes; k += 4) dot += load<f32>(dy + k) * (load<f32>(x + k) - mean)
    const pull: f32 = dot * factor * factor / <f32>cols
    const f = f32x4.splat(factor)
    const d = f32x4.splat(drift)
    const c = f32x4.splat(pull)
    for (let k: usize = 0; k < whole; k += 16)
      v128.store(dx + k, mul(f, sub(sub(v128.load(dy + k), d), mul(c, sub(v128.load(x + k), m)))))
    for (let k = whole; k < bytes; k += 4)
      store<f32>(dx + k, factor * (load<f32>(dy + k) - drift - pull * (load<f32>(x + k) - mean)))
  }
}

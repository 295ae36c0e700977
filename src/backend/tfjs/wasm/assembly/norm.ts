// RMSNorm over the last axis, forward and backward, each row in two passes that stay in the first-level cache.
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

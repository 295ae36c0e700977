// A matrix times one vector: bound by reading the matrix once.
import { add, mul, sumLanes } from './lanes'

/** out[r] = sum over c of w[r, c] * x[c]. */
export function matrixVector(w: usize, x: usize, output: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~63
  for (let r = 0; r < rows; r++, w += bytes, output += 4) {
    let a = f32x4.splat(0), b = a, c = a, d = a
    let k: usize = 0
    for (; k < whole; k += 64) {
      a = add(a, mul(v128.load(x + k), v128.load(w + k)))
      b = add(b, mul(v128.load(x + k, 16), v128.load(w + k, 16)))
      c = add(c, mul(v128.load(x + k, 32), v128.load(w + k, 32)))
      d = add(d, mul(v128.load(x + k, 48), v128.load(w + k, 48)))
    }
    for (; k + 16 <= bytes; k += 16) a = add(a, mul(v128.load(x + k), v128.load(w + k)))
    let sum = sumLanes(add(add(a, b), add(c, d)))
    for (; k < bytes; k += 4) sum += load<f32>(x + k) * load<f32>(w + k)
    store<f32>(output, sum)
  }
}

/** out[c] = sum over r of x[r] * w[r, c]. Four rows at a time share the loads and stores of the output. */
export function vectorMatrix(x: usize, w: usize, output: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2
  const whole = bytes & ~15
  memory.fill(output, 0, bytes)
  let r = 0
  for (; r + 4 <= rows; r += 4, w += 4 * bytes, x += 16) {
    const a = v128.load32_splat(x), b = v128.load32_splat(x, 4), c = v128.load32_splat(x, 8), d = v128.load32_splat(x, 12)
    for (let k: usize = 0; k < whole; k += 16) {
      const p = w + k
      const ab = add(mul(a, v128.load(p)), mul(b, v128.load(p + bytes)))
      const cd = add(mul(c, v128.load(p + 2 * bytes)), mul(d, v128.load(p + 3 * bytes)))
      v128.store(output + k, add(v128.load(output + k), add(ab, cd)))
    }
    for (let k = whole; k < bytes; k += 4) {
      let s = load<f32>(output + k)
      for (let i: usize = 0; i < 4; i++) s += load<f32>(x + (i << 2)) * load<f32>(w + k + i * bytes)
      store<f32>(output + k, s)
    }
  }
  for (; r < rows; r++, w += bytes, x += 4) {
    const a = v128.load32_splat(x)
    for (let k: usize = 0; k < whole; k += 16) v128.store(output + k, add(v128.load(output + k), mul(a, v128.load(w + k))))
    for (let k = whole; k < bytes; k += 4) store<f32>(output + k, load<f32>(output + k) + load<f32>(x) * load<f32>(w + k))
  }
}

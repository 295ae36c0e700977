// Rotary position embedding in the half-rotation form of Hugging Face: lane i is paired with lane i + headDim / 2.
import { add, mul, sub } from './lanes'

@inline
function rotate(
  input: usize, output: usize, rows: i32, headDim: i32, cos: usize, sin: usize, tableCols: i32, repeat: i32, seq: i32, start: i32, sign: f32
): void {
  const half = ((<usize>headDim >> 1)) << 2
  const whole = half & ~15
  const direction = f32x4.splat(sign)
  for (let r = 0; r < rows; r++, input += 2 * half, output += 2 * half) {
    const row = (<usize>(start + (r / repeat) % seq) * tableCols) << 2
    const c = cos + row
    const s = sin + row
    for (let k: usize = 0; k < whole; k += 16) {
      const a = v128.load(input + k)
      const b = v128.load(input + half + k)
      const cv = v128.load(c + k)
      const sv = mul(direction, v128.load(s + k))
      v128.store(output + k, sub(mul(a, cv), mul(b, sv)))
      v128.store(output + half + k, add(mul(b, cv), mul(a, sv)))
    }
    for (let k = whole; k < half; k += 4) {
      const a = load<f32>(input + k)
      const b = load<f32>(input + half + k)
      const cv = load<f32>(c + k)
      const sv = sign * load<f32>(s + k)
      store<f32>(output + k, a * cv - b * sv)
      store<f32>(output + half + k, b * cv + a * sv)
    }
  }
}

/**
 * Rotates [rows, headDim]; the position of row r is start + (r / repeat) % seq: repeat = 1 for [.., heads, seq, headDim], repeat = heads for
 * [.., seq, heads, headDim]. The tables have tableCols columns (headDim / 2 or headDim), of which the first headDim / 2 are read.
 */
export function rope(
  input: usize, output: usize, rows: i32, headDim: i32, cos: usize, sin: usize, tableCols: i32, repeat: i32, seq: i32, start: i32
): void { rotate(input, output, rows, headDim, cos, sin, tableCols, repeat, seq, start, 1) }

/** The inverse rotation, which is also the backward of rope. */
export function ropeInverse(
  input: usize, output: usize, rows: i32, headDim: i32, cos: usize, sin: usize, tableCols: i32, repeat: i32, seq: i32, start: i32
): void { rotate(input, output, rows, headDim, cos, sin, tableCols, repeat, seq, start, -1) }

// Elementwise functions of one argument, and the gated unit of LLaMA. Input and output may be the same buffer; n elements.
import { add, loadPart, mul, storePart, sub } from './lanes'
import { exp4, log4, sigmoid4, tanh4 } from './math'

const EXP = 0, LOG = 1, SIGMOID = 2, TANH = 3, RSQRT = 4, SQRT = 5, RECIPROCAL = 6, SILU = 7, GELU = 8, NEG = 9, ABS = 10, SQUARE = 11

@inline
function gelu4(x: v128): v128 {
  const inner = mul(f32x4.splat(0.7978845608028654), add(x, mul(f32x4.splat(0.044715), mul(x, mul(x, x)))))
  return mul(mul(f32x4.splat(0.5), x), add(f32x4.splat(1), tanh4(inner)))
}

@inline
function apply(op: i32, x: v128): v128 {
  if (op == EXP) return exp4(x)
  if (op == LOG) return log4(x)
  if (op == SIGMOID) return sigmoid4(x)
  if (op == TANH) return tanh4(x)
  if (op == RSQRT) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x))
  if (op == SQRT) return f32x4.sqrt(x)
  if (op == RECIPROCAL) return f32x4.div(f32x4.splat(1), x)
  if (op == SILU) return f32x4.div(x, add(f32x4.splat(1), exp4(f32x4.neg(x))))
  if (op == GELU) return gelu4(x)
  if (op == NEG) return f32x4.neg(x)
  if (op == ABS) return f32x4.abs(x)
  return mul(x, x)
}

/** `op` is a constant wherever this is inlined, so each kernel keeps one branch. */
@inline
function map(op: i32, p: usize, q: usize, n: i32): void {
  let k = 0
  for (; k + 4 <= n; k += 4, p += 16, q += 16) v128.store(q, apply(op, v128.load(p)))
  if (k < n) storePart(q, apply(op, loadPart(p, n - k)), n - k)
}

/** out = e^in. */
export function exp(input: usize, output: usize, n: i32): void { map(EXP, input, output, n) }
/** out = ln in. */
export function log(input: usize, output: usize, n: i32): void { map(LOG, input, output, n) }
/** out = 1 / (1 + e^-in). */
export function sigmoid(input: usize, output: usize, n: i32): void { map(SIGMOID, input, output, n) }
/** out = tanh in. */
export function tanh(input: usize, output: usize, n: i32): void { map(TANH, input, output, n) }
/** out = 1 / sqrt in. */
export function rsqrt(input: usize, output: usize, n: i32): void { map(RSQRT, input, output, n) }
/** out = sqrt in. */
export function sqrt(input: usize, output: usize, n: i32): void { map(SQRT, input, output, n) }
/** out = 1 / in. */
export function reciprocal(input: usize, output: usize, n: i32): void { map(RECIPROCAL, input, output, n) }
/** out = in * sigmoid(in). */
export function silu(input: usize, output: usize, n: i32): void { map(SILU, input, output, n) }
/** out = gelu(in), the tanh form. */
export function gelu(input: usize, output: usize, n: i32): void { map(GELU, input, output, n) }
/** out = -in. */
export function neg(input: usize, output: usize, n: i32): void { map(NEG, input, output, n) }
/** out = |in|. */
export function abs(input: usize, output: usize, n: i32): void { map(ABS, input, output, n) }
/** out = in^2. */
export function square(input: usize, output: usize, n: i32): void { map(SQUARE, input, output, n) }

/** dx = dy * silu'(x). */
export function siluBackward(dy: usize, x: usize, dx: usize, n: i32): void {
  let k = 0
  for (; k + 4 <= n; k += 4, dy += 16, x += 16, dx += 16) v128.store(dx, siluGradient(v128.load(dy), v128.load(x)))
  if (k < n) storePart(dx, siluGradient(loadPart(dy, n - k), loadPart(x, n - k)), n - k)
}

@inline
function siluGradient(dy: v128, x: v128): v128 {
  const s = sigmoid4(x)
  return mul(dy, mul(s, add(f32x4.splat(1), mul(x, sub(f32x4.splat(1), s)))))
}

@inline
function geluGradient(dy: v128, x: v128): v128 {
  const x2 = mul(x, x)
  const t = tanh4(mul(f32x4.splat(0.7978845608028654), add(x, mul(f32x4.splat(0.044715), mul(x, x2)))))
  const slope = mul(f32x4.splat(0.7978845608028654), add(f32x4.splat(1), mul(f32x4.splat(3 * 0.044715), x2)))
  const one = f32x4.splat(1)
  const half = f32x4.splat(0.5)
  return mul(dy, add(mul(half, add(one, t)), mul(mul(half, x), mul(sub(one, mul(t, t)), slope))))
}

/** dx = dy * gelu'(x), the tanh form. */
export function geluBackward(dy: usize, x: usize, dx: usize, n: i32): void {
  let k = 0
  for (; k + 4 <= n; k += 4, dy += 16, x += 16, dx += 16) v128.store(dx, geluGradient(v128.load(dy), v128.load(x)))
  if (k < n) storePart(dx, geluGradient(loadPart(dy, n - k), loadPart(x, n - k)), n - k)
}

/** out = silu(gate) * up. */
export function swiglu(gate: usize, up: usize, output: usize, n: i32): void {
  let k = 0
  for (; k + 4 <= n; k += 4, gate += 16, up += 16, output += 16) {
    v128.store(output, mul(apply(SILU, v128.load(gate)), v128.load(up)))
  }
  if (k < n) storePart(output, mul(apply(SILU, loadPart(gate, n - k)), loadPart(up, n - k)), n - k)
}

/** dgate = dout * up * silu'(gate) and dup = dout * silu(gate), in one pass; either may be the buffer of an input. */
export function swigluBackward(dout: usize, gate: usize, up: usize, dgate: usize, dup: usize, n: i32): void {
  const one = f32x4.splat(1)
  let k = 0
  for (; k < n; k += 4, dout += 16, gate += 16, up += 16, dgate += 16, dup += 16) {
    const left = n - k
    const whole = left >= 4
    const d = whole ? v128.load(dout) : loadPart(dout, left)
    const g = whole ? v128.load(gate) : loadPart(gate, left)
    const u = whole ? v128.load(up) : loadPart(up, left)
    const s = sigmoid4(g)
    const silu = mul(g, s)
    const dg = mul(mul(d, u), add(s, mul(silu, sub(one, s))))
    if (whole) {
      v128.store(dgate, dg)
      v128.store(dup, mul(d, silu))
    } else {
      storePart(dgate, dg, left)
      storePart(dup, mul(d, silu), left)
    }
  }
}

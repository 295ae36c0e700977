// Elementwise functions of one argument, and the derivative of one. Input and output may be the same buffer; n elements.
import { add, loadPart, mul, storePart, sub } from './lanes'
import { erf4, exp4, log1p4, log4, sigmoid4, tanh4 } from './math'

const EXP = 0, LOG = 1, SIGMOID = 2, TANH = 3, RSQRT = 4, SQRT = 5, SILU = 6, NEG = 7, ABS = 8, LOG1P = 9, ERF = 10

@inline
function apply(op: i32, x: v128): v128 {
  if (op == EXP) return exp4(x)
  if (op == LOG) return log4(x)
  if (op == SIGMOID) return sigmoid4(x)
  if (op == TANH) return tanh4(x)
  if (op == RSQRT) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x))
  if (op == SQRT) return f32x4.sqrt(x)
  if (op == SILU) return f32x4.div(x, add(f32x4.splat(1), exp4(f32x4.neg(x))))
  if (op == NEG) return f32x4.neg(x)
  if (op == LOG1P) return log1p4(x)
  if (op == ERF) return erf4(x)
  return f32x4.abs(x)
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
/** out = ln (1 + in), precise near 0. */
export function log1p(input: usize, output: usize, n: i32): void { map(LOG1P, input, output, n) }
/** out = 1 / (1 + e^-in). */
export function sigmoid(input: usize, output: usize, n: i32): void { map(SIGMOID, input, output, n) }
/** out = erf in, the error function. */
export function erf(input: usize, output: usize, n: i32): void { map(ERF, input, output, n) }
/** out = tanh in. */
export function tanh(input: usize, output: usize, n: i32): void { map(TANH, input, output, n) }
/** out = 1 / sqrt in. */
export function rsqrt(input: usize, output: usize, n: i32): void { map(RSQRT, input, output, n) }
/** out = sqrt in. */
export function sqrt(input: usize, output: usize, n: i32): void { map(SQRT, input, output, n) }
/** out = in * sigmoid(in). */
export function silu(input: usize, output: usize, n: i32): void { map(SILU, input, output, n) }
/** out = -in. */
export function neg(input: usize, output: usize, n: i32): void { map(NEG, input, output, n) }
/** out = |in|. */
export function abs(input: usize, output: usize, n: i32): void { map(ABS, input, output, n) }

/** dx = dy * silu'(x). */
export function siluBackward(dy: usize, x: usize, dx: usize, n: i32): void {
  let k = 0
  for (; k + 4 <= n; k += 4, dy += 16, x += 16, dx += 16) v128.store(dx, siluGradient(v128.load(dy), v128.load(x)))
  if (k < n) storePart(dx, siluGradient(loadPart(dy, n - k), loadPart(x, n - k)), n - k)
}

@inline
export function siluGradient(dy: v128, x: v128): v128 {
  const s = sigmoid4(x)
  return mul(dy, mul(s, add(f32x4.splat(1), mul(x, sub(f32x4.splat(1), s)))))
}

// Neighbouring elementwise functions in one pass: blocks of a row go through all steps while they are in the first-level cache. Each value
// has a place: where its block begins. A truth value is a lane of ones or zeros.
import { add, mul, sub } from './lanes'
import { erf4, exp4, log1p4, log4, sigmoid4, tanh4 } from './math'
import { siluGradient } from './activation'

const BLOCK: i32 = 512
const BLOCK_BYTES: usize = 2048
const MOST_VALUES: usize = 48

const ADD = 0, SUB = 1, MUL = 2, DIV = 3, MAX = 4, MIN = 5, EQUAL = 6, NOT_EQUAL = 7, LESS = 8, LESS_EQUAL = 9, GREATER = 10
const GREATER_EQUAL = 11, AND = 12, OR = 13, SILU_GRAD = 14, SELECT = 15, NOT = 16, NEG = 17, EXP = 18, LOG = 19, LOG1P = 20, SQRT = 21
const RSQRT = 22, TANH = 23, SIGMOID = 24, ABS = 25, SILU = 26, NUMBER = 27, ERF = 28

/** Bytes of scratch that `runSteps` needs: a place for each value, a block for each that is not read where it lies, and one of sums. */
export function stepsScratch(): i32 { return <i32>(MOST_VALUES * 4 + (MOST_VALUES + 1) * BLOCK_BYTES) }

@inline
function ones(): v128 { return i32x4.splat(-1) }

@inline
function apply(op: i32, x: v128, y: v128, z: v128): v128 {
  if (op == ADD) return add(x, y)
  if (op == SUB) return sub(x, y)
  if (op == MUL) return mul(x, y)
  if (op == DIV) return f32x4.div(x, y)
  if (op == MAX) return f32x4.max(x, y)
  if (op == MIN) return f32x4.min(x, y)
  if (op == EQUAL) return f32x4.eq(x, y)
  if (op == NOT_EQUAL) return f32x4.ne(x, y)
  if (op == LESS) return f32x4.lt(x, y)
  if (op == LESS_EQUAL) return f32x4.le(x, y)
  if (op == GREATER) return f32x4.gt(x, y)
  if (op == GREATER_EQUAL) return f32x4.ge(x, y)
  if (op == AND) return v128.and(x, y)
  if (op == OR) return v128.or(x, y)
  if (op == SILU_GRAD) return siluGradient(x, y)
  if (op == SELECT) return v128.bitselect(y, z, x)
  if (op == NOT) return v128.not(x)
  if (op == NEG) return f32x4.neg(x)
  if (op == EXP) return exp4(x)
  if (op == LOG) return log4(x)
  if (op == LOG1P) return log1p4(x)
  if (op == SQRT) return f32x4.sqrt(x)
  if (op == RSQRT) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x))
  if (op == TANH) return tanh4(x)
  if (op == SIGMOID) return sigmoid4(x)
  if (op == ABS) return f32x4.abs(x)
  if (op == SILU) return f32x4.div(x, add(f32x4.splat(1), exp4(f32x4.neg(x))))
  if (op == ERF) return erf4(x)
  return v128.and(x, f32x4.splat(1))
}

/** `op` is a constant wherever these are inlined, so each loop keeps one branch. */
@inline
function unary(op: i32, a: usize, out: usize, end: usize): void {
  for (; out < end; a += 16, out += 16) { const x = v128.load(a); v128.store(out, apply(op, x, x, x)) }
}
@inline
function binary(op: i32, a: usize, b: usize, out: usize, end: usize): void {
  for (; out < end; a += 16, b += 16, out += 16) { const x = v128.load(a); v128.store(out, apply(op, x, v128.load(b), x)) }
}
@inline
function ternary(op: i32, a: usize, b: usize, c: usize, out: usize, end: usize): void {
  for (; out < end; a += 16, b += 16, c += 16, out += 16) v128.store(out, apply(op, v128.load(a), v128.load(b), v128.load(c)))
}

/** One step over whole lanes. */
function step(op: i32, a: usize, b: usize, c: usize, out: usize, end: usize): void {
  switch (op) {
    case ADD: binary(ADD, a, b, out, end); break
    case SUB: binary(SUB, a, b, out, end); break
    case MUL: binary(MUL, a, b, out, end); break
    case DIV: binary(DIV, a, b, out, end); break
    case MAX: binary(MAX, a, b, out, end); break
    case MIN: binary(MIN, a, b, out, end); break
    case EQUAL: binary(EQUAL, a, b, out, end); break
    case NOT_EQUAL: binary(NOT_EQUAL, a, b, out, end); break
    case LESS: binary(LESS, a, b, out, end); break
    case LESS_EQUAL: binary(LESS_EQUAL, a, b, out, end); break
    case GREATER: binary(GREATER, a, b, out, end); break
    case GREATER_EQUAL: binary(GREATER_EQUAL, a, b, out, end); break
    case AND: binary(AND, a, b, out, end); break
    case OR: binary(OR, a, b, out, end); break
    case SILU_GRAD: binary(SILU_GRAD, a, b, out, end); break
    case SELECT: ternary(SELECT, a, b, c, out, end); break
    case NOT: unary(NOT, a, out, end); break
    case NEG: unary(NEG, a, out, end); break
    case EXP: unary(EXP, a, out, end); break
    case LOG: unary(LOG, a, out, end); break
    case LOG1P: unary(LOG1P, a, out, end); break
    case SQRT: unary(SQRT, a, out, end); break
    case RSQRT: unary(RSQRT, a, out, end); break
    case TANH: unary(TANH, a, out, end); break
    case SIGMOID: unary(SIGMOID, a, out, end); break
    case ABS: unary(ABS, a, out, end); break
    case SILU: unary(SILU, a, out, end); break
    case ERF: unary(ERF, a, out, end); break
    default: unary(NUMBER, a, out, end)
  }
}

/** A value in all lanes; a truth value is one byte. */
@inline
function splat(at: usize, isByte: i32): v128 { return isByte ? i32x4.splat(-<i32>(load<u8>(at) != 0)) : v128.load32_splat(at) }

/** The block of an input's row that is one value, or, of some columns, that is repeated every `period` columns. */
@inline
function fillBlock(input: usize, own: usize, r: i32, cols: i32, period: i32): void {
  const row = load<i32>(input, 4), isByte = load<i32>(input, 12)
  const x = <usize>load<i32>(input)
  if (load<i32>(input, 8) == 0) {
    const value = splat(x + ((<usize>r * row) << (isByte ? 0 : 2)), isByte)
    for (let p = own; p < own + BLOCK_BYTES; p += 16) v128.store(p, value)
  } else for (let k: usize = 0, at: usize = 0; k < <usize>cols; k++, at++) {
    if (at == <usize>period) at = 0
    store<i32>(own + (k << 2), isByte ? -<i32>(load<u8>(x + at) != 0) : load<i32>(x + (at << 2)))
  }
}

/**
 * out[r, c] = the last step's result for rows `from` .. `to` - 1; with `sums` out[c] = its sum over them, for c below `period`. `inputs` are quadruples of words: the
 * offset of x, its row stride and its column stride (0 or 1), so that x[r * row + c * col] is read, and 1 if its elements are truth values, of
 * one byte each. An x that has no row stride repeats every `period` columns, which is less than cols only if cols is at most a block.
 * `program` are quintuples: op, the values that it reads (three), and the value that it makes; values are numbered from the inputs on. With
 * `truth` the results are truth values. out may be the buffer of an input with the shape and the elements of out.
 */
export function runSteps(
  inputs: usize, given: i32, program: usize, steps: i32, scratch: usize, output: usize, from: i32, to: i32, cols: i32, period: i32, truth: i32, sums: i32
): void {
  const blocks = scratch + (MOST_VALUES << 2)
  const total = blocks + MOST_VALUES * BLOCK_BYTES
  const last = program + <usize>(steps - 1) * 20
  const result = blocks + <usize>load<i32>(last, 16) * BLOCK_BYTES
  const isOneBlock = cols <= BLOCK
  if (sums == 0) output += (<usize>from * cols) << (truth ? 0 : 2)
  // sums go down the rows of one block after another
  const across = sums ? BLOCK : cols
  for (let c0 = 0; c0 < cols; c0 += across) {
    if (sums) memory.fill(total, 0, BLOCK_BYTES)
    for (let r = from; r < to; r++) {
      for (let i = 0; i < given; i++) {
        const input = inputs + ((<usize>i) << 4)
        const row = load<i32>(input, 4)
        if (load<i32>(input, 8) && (row || !isOneBlock) || (r > from && row == 0)) continue
        const own = blocks + <usize>i * BLOCK_BYTES
        fillBlock(input, own, r, cols, period)
        store<i32>(scratch + ((<usize>i) << 2), <i32>own)
      }
      const end = min(c0 + across, cols)
      for (let c = c0; c < end; c += BLOCK) {
        const n = min(BLOCK, cols - c)
        const bytes = (<usize>n) << 2
        const direct = (n & 3) == 0 && truth == 0 && sums == 0
        for (let i = 0; i < given; i++) {
          const input = inputs + ((<usize>i) << 4)
          if (load<i32>(input, 8) == 0 || (isOneBlock && load<i32>(input, 4) == 0)) continue
          const own = blocks + <usize>i * BLOCK_BYTES
          const place = <usize>(r * load<i32>(input, 4) + c)
          let at = <usize>load<i32>(input)
          if (load<i32>(input, 12)) {
            at += place
            for (let k: usize = 0; k < <usize>n; k++) store<i32>(own + (k << 2), -<i32>(load<u8>(at + k) != 0))
            at = own
          } else {
            at += place << 2
            // lanes beyond the end of a row are computed in blocks of their own
            if (n & 3) {
              memory.copy(own, at, bytes)
              at = own
            }
          }
          store<i32>(scratch + ((<usize>i) << 2), <i32>at)
        }
        const length = (bytes + 15) & ~15
        for (let p = program; p <= last; p += 20) {
          const made = <usize>load<i32>(p, 16)
          const own = blocks + made * BLOCK_BYTES
          const out = p == last && direct ? output : own
          const a = <usize>load<i32>(scratch + ((<usize>load<i32>(p, 4)) << 2))
          const b = <usize>load<i32>(scratch + ((<usize>load<i32>(p, 8)) << 2))
          const third = <usize>load<i32>(scratch + ((<usize>load<i32>(p, 12)) << 2))
          step(load<i32>(p), a, b, third, out, out + length)
          store<i32>(scratch + (made << 2), <i32>own)
        }
        if (sums) binary(ADD, total, result, total, total + length)
        else if (truth) {
          for (let k: usize = 0; k < <usize>n; k++) store<u8>(output + k, <u8>(load<i32>(result + (k << 2)) & 1))
          output += n
        } else {
          if (!direct) memory.copy(output, result, bytes)
          output += bytes
        }
      }
    }
    if (sums) {
      const n = min(BLOCK, cols - c0)
      for (let k = period; k < n; k++) {
        const to = total + ((<usize>(k % period)) << 2)
        store<f32>(to, load<f32>(to) + load<f32>(total + ((<usize>k) << 2)))
      }
      memory.copy(output + ((<usize>c0) << 2), total, (<usize>min(period, n)) << 2)
    }
  }
}

// Elementwise functions of two arguments with broadcasting: out[r, c] = a[r * aRow + c * aCol] op b[r * bRow + c * bCol], strides in
// elements, column strides 0 or 1. So a scalar is (0, 0), a row vector (0, 1), a column vector (1, 0), and equal shapes one long row.
import { loadPart, storePart } from './lanes'
import { copyRun } from './transpose'

const ADD = 0, SUB = 1, MUL = 2, DIV = 3, MAX = 4, MIN = 5

@inline
function apply(op: i32, a: v128, b: v128): v128 {
  if (op == ADD) return f32x4.add(a, b)
  if (op == SUB) return f32x4.sub(a, b)
  if (op == MUL) return f32x4.mul(a, b)
  if (op == DIV) return f32x4.div(a, b)
  if (op == MAX) return f32x4.max(a, b)
  return f32x4.min(a, b)
}

@inline
function binary(op: i32, a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  for (let r = 0; r < rows; r++) {
    let p = a + ((<usize>r * aRow) << 2)
    let q = b + ((<usize>r * bRow) << 2)
    let k = 0
    if (aCol && bCol) {
      for (; k + 4 <= cols; k += 4, p += 16, q += 16, output += 16) v128.store(output, apply(op, v128.load(p), v128.load(q)))
      if (k < cols) storePart(output, apply(op, loadPart(p, cols - k), loadPart(q, cols - k)), cols - k)
    } else if (aCol) {
      const right = v128.load32_splat(q)
      for (; k + 4 <= cols; k += 4, p += 16, output += 16) v128.store(output, apply(op, v128.load(p), right))
      if (k < cols) storePart(output, apply(op, loadPart(p, cols - k), right), cols - k)
    } else if (bCol) {
      const left = v128.load32_splat(p)
      for (; k + 4 <= cols; k += 4, q += 16, output += 16) v128.store(output, apply(op, left, v128.load(q)))
      if (k < cols) storePart(output, apply(op, left, loadPart(q, cols - k)), cols - k)
    } else {
      const value = apply(op, v128.load32_splat(p), v128.load32_splat(q))
      for (; k + 4 <= cols; k += 4, output += 16) v128.store(output, value)
      if (k < cols) storePart(output, value, cols - k)
    }
    output += (<usize>(cols - k)) << 2
  }
}

/** out = a + b. */
export function add(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(ADD, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}
/** out = a - b. */
export function sub(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(SUB, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}
/** out = a * b. */
export function mul(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(MUL, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}
/** out = a / b. */
export function div(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(DIV, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}
/** out = the larger of a and b; NaN if either is. */
export function max(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(MAX, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}
/** out = the smaller of a and b; NaN if either is. */
export function min(a: usize, b: usize, output: usize, rows: i32, cols: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  binary(MIN, a, b, output, rows, cols, aRow, aCol, bRow, bCol)
}

/** out[r, c] = x[r * row + c * col]: an operand as the functions above read it. */
export function repeat(x: usize, output: usize, rows: i32, cols: i32, row: i32, col: i32): void {
  const bytes = (<usize>cols) << 2
  for (let r = 0; r < rows; r++, output += bytes) {
    const p = x + ((<usize>r * row) << 2)
    if (col) copyRun(p, output, bytes)
    else {
      const v = v128.load32_splat(p)
      let k = 0
      for (; k + 4 <= cols; k += 4) v128.store(output + ((<usize>k) << 2), v)
      for (; k < cols; k++) store<i32>(output + ((<usize>k) << 2), load<i32>(p))
    }
  }
}

/** Sets n elements to one value. */
export function fill(output: usize, n: i32, value: f32): void {
  const v = f32x4.splat(value)
  let k = 0
  for (; k + 4 <= n; k += 4, output += 16) v128.store(output, v)
  for (; k < n; k++, output += 4) store<f32>(output, value)
}

// Transposes and permutations. A block of 16 rows is read along its rows, and every cache line of the output is written once, whole.

/** One 4 x 4 block: rows at p, p + stride, ...; columns to q, q + outStride, ... (strides in bytes). */
@inline
function transpose4x4(p: usize, stride: usize, q: usize, outStride: usize): void {
  const a = v128.load(p)
  const b = v128.load(p + stride)
  const c = v128.load(p + 2 * stride)
  const d = v128.load(p + 3 * stride)
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5)
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5)
  const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7)
  const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7)
  v128.store(q, v128.shuffle<i64>(ab, cd, 0, 2))
  v128.store(q + outStride, v128.shuffle<i64>(ab, cd, 1, 3))
  v128.store(q + 2 * outStride, v128.shuffle<i64>(ef, gh, 0, 2))
  v128.store(q + 3 * outStride, v128.shuffle<i64>(ef, gh, 1, 3))
}

/** out[c, r] = in[r, c]; strides between rows in bytes. */
export function transposeBlock(input: usize, output: usize, rows: i32, cols: i32, stride: usize, outStride: usize): void {
  let r = 0
  for (; r + 16 <= rows; r += 16) {
    let p = input + <usize>r * stride
    let q = output + ((<usize>r) << 2)
    let c = 0
    for (; c + 4 <= cols; c += 4) {
      transpose4x4(p, stride, q, outStride)
      transpose4x4(p + 4 * stride, stride, q + 16, outStride)
      transpose4x4(p + 8 * stride, stride, q + 32, outStride)
      transpose4x4(p + 12 * stride, stride, q + 48, outStride)
      p += 16
      q += 4 * outStride
    }
    for (; c < cols; c++) {
      for (let i = 0; i < 16; i++) store<f32>(q + ((<usize>i) << 2), load<f32>(p + <usize>i * stride))
      p += 4
      q += outStride
    }
  }
  for (; r + 4 <= rows; r += 4) {
    let p = input + <usize>r * stride
    let q = output + ((<usize>r) << 2)
    let c = 0
    for (; c + 4 <= cols; c += 4) {
      transpose4x4(p, stride, q, outStride)
      p += 16
      q += 4 * outStride
    }
    for (; c < cols; c++) {
      for (let i = 0; i < 4; i++) store<f32>(q + ((<usize>i) << 2), load<f32>(p + <usize>i * stride))
      p += 4
      q += outStride
    }
  }
  for (; r < rows; r++) {
    let p = input + <usize>r * stride
    let q = output + ((<usize>r) << 2)
    for (let c = 0; c < cols; c++) {
      store<f32>(q, load<f32>(p))
      p += 4
      q += outStride
    }
  }
}

/** Permutation whose last axis moves: n0 x n1 x n2 transposes of [rows, cols]; i and o are strides of input and output in elements. */
export function permuteTranspose(
  input: usize, output: usize, n0: i32, n1: i32, n2: i32, rows: i32, cols: i32,
  i0: i32, i1: i32, i2: i32, inputRow: i32, o0: i32, o1: i32, o2: i32, outputRow: i32
): void {
  for (let a = 0; a < n0; a++) for (let b = 0; b < n1; b++) for (let c = 0; c < n2; c++) {
    const p = input + ((<usize>a * i0 + <usize>b * i1 + <usize>c * i2) << 2)
    const q = output + ((<usize>a * o0 + <usize>b * o1 + <usize>c * o2) << 2)
    transposeBlock(p, q, rows, cols, (<usize>inputRow) << 2, (<usize>outputRow) << 2)
  }
}

/** Permutation whose last axis stays: runs of `length` elements; the output is written in order, i are the input's strides in elements. */
export function permuteCopy(
  input: usize, output: usize, n0: i32, n1: i32, n2: i32, n3: i32, length: i32, i0: i32, i1: i32, i2: i32, i3: i32
): void {
  const bytes = (<usize>length) << 2
  let q = output
  for (let a = 0; a < n0; a++) for (let b = 0; b < n1; b++) for (let c = 0; c < n2; c++) for (let d = 0; d < n3; d++) {
    copyRun(input + ((<usize>a * i0 + <usize>b * i1 + <usize>c * i2 + <usize>d * i3) << 2), q, bytes)
    q += bytes
  }
}

/** Copies one run of bytes (a multiple of 4); a short one is copied by hand, since a call costs more. */
@inline
export function copyRun(p: usize, q: usize, bytes: usize): void {
  if (bytes > 512) memory.copy(q, p, bytes)
  else {
    let k: usize = 0
    for (; k + 16 <= bytes; k += 16) v128.store(q + k, v128.load(p + k))
    for (; k < bytes; k += 4) store<i32>(q + k, load<i32>(p + k))
  }
}

// Random words by Philox 4x32-10 (Salmon et al., SC'11), and dropout by them. Word i of a draw is word i % 4 of the block with the counter
// [i / 4, purpose, draw, stream]; a key is three i32: a seed's lower and upper half, and the number of the draw. Blocks are made four at a time.
import { loadPart, storePart } from './lanes'

const PURPOSE: i32 = 0x62697473
const ROUNDS: i32 = 10

// four consecutive blocks, as `makeBlocks` leaves them
let block0: v128 = i32x4.splat(0)
let block1: v128 = i32x4.splat(0)
let block2: v128 = i32x4.splat(0)
let block3: v128 = i32x4.splat(0)

/** The lower halves of four products in two vectors. */
@inline
function low(a: v128, b: v128): v128 { return v128.shuffle<i32>(a, b, 0, 2, 4, 6) }
/** The upper halves. */
@inline
function high(a: v128, b: v128): v128 { return v128.shuffle<i32>(a, b, 1, 3, 5, 7) }

/** The blocks `first` to `first + 3` of a draw. */
@inline
function makeBlocks(key: usize, stream: usize, first: i32): void {
  const m0 = i32x4.splat(0xd2511f53), m1 = i32x4.splat(0xcd9e8d57)
  let k0 = load<i32>(key), k1 = load<i32>(key, 4)
  // word by word, the blocks side by side
  let c0 = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3)), c1 = i32x4.splat(PURPOSE)
  let c2 = v128.load32_splat(key, 8), c3 = v128.load32_splat(stream)
  for (let round = 0; round < ROUNDS; round++) {
    const a = i64x2.extmul_low_i32x4_u(c0, m0), b = i64x2.extmul_high_i32x4_u(c0, m0)
    const c = i64x2.extmul_low_i32x4_u(c2, m1), d = i64x2.extmul_high_i32x4_u(c2, m1)
    c0 = v128.xor(v128.xor(high(c, d), c1), i32x4.splat(k0))
    c1 = low(c, d)
    c2 = v128.xor(v128.xor(high(a, b), c3), i32x4.splat(k1))
    c3 = low(a, b)
    k0 += 0x9e3779b9
    k1 += 0xbb67ae85
  }
  const p = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5), q = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5)
  const r = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7), s = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7)
  block0 = v128.shuffle<i32>(p, q, 0, 1, 4, 5)
  block1 = v128.shuffle<i32>(p, q, 2, 3, 6, 7)
  block2 = v128.shuffle<i32>(r, s, 0, 1, 4, 5)
  block3 = v128.shuffle<i32>(r, s, 2, 3, 6, 7)
}

/** Stores four words, or as many as are left. */
@inline
function put(output: usize, v: v128, left: i32): void {
  if (left >= 4) v128.store(output, v)
  else if (left > 0) storePart(output, v, left)
}

/** n random words, as i32; key is i32[3], stream i32[1]. */
export function randomBits(key: usize, stream: usize, output: usize, n: i32): void {
  for (let i = 0; i < n; i += 16, output += 64) {
    makeBlocks(key, stream, i >> 2)
    put(output, block0, n - i)
    put(output + 16, block1, n - i - 4)
    put(output + 32, block2, n - i - 8)
    put(output + 48, block3, n - i - 12)
  }
}

/** Keeps four elements, or as many as are left, if the words are large enough. */
@inline
function keep(input: usize, output: usize, words: v128, left: i32, least: v128, scale: v128): void {
  if (left <= 0) return
  const x = left >= 4 ? v128.load(input) : loadPart(input, left)
  put(output, v128.and(i32x4.ge_s(words, least), f32x4.mul(x, scale)), left)
}

/** out = scale * in where the random word is at least `least`, else 0; key is i32[3], stream i32[1]. */
export function dropout(input: usize, key: usize, stream: usize, output: usize, n: i32, least: i32, scale: f32): void {
  const limit = i32x4.splat(least), factor = f32x4.splat(scale)
  for (let i = 0; i < n; i += 16, input += 64, output += 64) {
    makeBlocks(key, stream, i >> 2)
    keep(input, output, block0, n - i, limit, factor)
    keep(input + 16, output + 16, block1, n - i - 4, limit, factor)
    keep(input + 32, output + 32, block2, n - i - 8, limit, factor)
    keep(input + 48, output + 48, block3, n - i - 12, limit, factor)
  }
}

// Unpacking matrices: NF4, with codes and scales in the layout that src/tensor/nf4.ts describes.

/** Byte t of each of the codebook's 16 numbers: a lookup in four tables of bytes is a lookup in a table of numbers. */
@inline
function plane(t: i32): v128 {
  if (t == 0) return i8x16(0, -79, 48, -96, 77, 63, 113, 0, -1, -29, -35, 58, -72, -85, -77, 0)
  if (t == 1) return i8x16(0, 57, 107, 50, -94, 53, 120, 0, -6, -54, 4, 3, -92, 7, 19, 0)
  if (t == 2) return i8x16(-128, 50, 6, -54, -111, 61, -70, 0, -94, 36, 124, -83, -31, 16, 57, -128)
  return i8x16(-65, -65, -65, -66, -66, -66, -67, 0, 61, 62, 62, 62, 62, 63, 63, 63)
}

/**
 * Writes four numbers for each of 4 fields of 4 words: those of one field are adjacent, the fields 64 bytes apart.
 * Codes are the low bits of bytes.
 */
@inline
function look(codes: v128, scale: v128, output: usize): void {
  // the bytes of a word, which are its fields, go to different numbers
  const c = v128.shuffle<i8>(codes, codes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
  const p = v128.swizzle(plane(0), c), q = v128.swizzle(plane(1), c), r = v128.swizzle(plane(2), c), s = v128.swizzle(plane(3), c)
  const a = v128.shuffle<i8>(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
  const b = v128.shuffle<i8>(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
  const d = v128.shuffle<i8>(r, s, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
  const e = v128.shuffle<i8>(r, s, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
  v128.store(output, f32x4.mul(scale, v128.shuffle<i16>(a, d, 0, 8, 1, 9, 2, 10, 3, 11)))
  v128.store(output, f32x4.mul(scale, v128.shuffle<i16>(a, d, 4, 12, 5, 13, 6, 14, 7, 15)), 64)
  v128.store(output, f32x4.mul(scale, v128.shuffle<i16>(b, e, 0, 8, 1, 9, 2, 10, 3, 11)), 128)
  v128.store(output, f32x4.mul(scale, v128.shuffle<i16>(b, e, 4, 12, 5, 13, 6, 14, 7, 15)), 192)
}

/** out = codebook[code] * absmax of the block, for whole blocks of 64: 8 words of codes and a scale each. */
export function dequantizeNF4(codes: usize, absmax: usize, output: usize, blocks: i32): void {
  const low = i8x16.splat(15)
  for (let block = 0; block < blocks; block++, codes += 32, absmax += 4, output += 256) {
    const scale = v128.load32_splat(absmax)
    for (let half: usize = 0; half < 32; half += 16) {
      const words = v128.load(codes + half)
      look(v128.and(words, low), scale, output + half)
      look(v128.and(i32x4.shr_u(words, 4), low), scale, output + half + 32)
    }
  }
}

/**
 * Random numbers as functions of their arguments: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC'11). A counter-based generator has no state to thread: word i of a stream is a function of (seed,
 * stream, i).
 */

/** Two 32-bit words that select a generator. */
export type PhiloxKey = readonly [number, number]
/** Four 32-bit words: a position in the generator's sequence, or its output there. */
export type PhiloxWords = readonly [number, number, number, number]

/** The upper 32 bits of a 32 x 32 bit product, from 16-bit halves so that every partial sum stays exact. */
const multiplyHigh = (a: number, b: number): number => {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16)
  const middle = aLow * bHigh + (cross & 0xffff)
  return (aHigh * bHigh + (cross >>> 16) + (middle >>> 16)) >>> 0
}

const rounds = 10

/**
 * Four random 32-bit words for a key and a counter (Philox 4x32 with ten rounds; equal to Random123's known answers).
 * @example philox([0, 0], [0, 0, 0, 0]) // [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
 */
export const philox = (key: PhiloxKey, counter: PhiloxWords): PhiloxWords => {
  let [k0, k1] = key
  let [c0, c1, c2, c3] = counter
  for (let round = 0; round < rounds; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0)
    const low0 = Math.imul(0xd2511f53, c0)
    const high1 = multiplyHigh(0xcd9e8d57, c2)
    const low1 = Math.imul(0xcd9e8d57, c2)
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1 >>> 0
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0 >>> 0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** The use of a stream, in the last word of the counter, so that equal stream numbers never share random words. */
type Purpose = 0 | 1 | 2 | 3
const purposes = { permutation: 0, columns: 1, uniform: 2, normal: 3 } as const

const twoTo32 = 2 ** 32

/** The key of a seed: any safe integer, its lower and upper 32 bits. @example philox(philoxKey(0), [0, 0, 0, 0]) */
export const philoxKey = (seed: number): PhiloxKey => [seed >>> 0, Math.floor(seed / twoTo32) >>> 0]

/** An endless sequence of 32-bit words. */
function* words(seed: number, stream: number, purpose: Purpose): Generator<number, never> {
  const key = philoxKey(seed)
  for (let block = 0; ; block++) yield* philox(key, [block >>> 0, Math.floor(block / twoTo32), stream >>> 0, purpose])
}

/** The next number in [0, n), uniformly distributed: words above the largest multiple of n are redrawn. */
const below = (source: Generator<number, never>, n: number): number => {
  const limit = twoTo32 - (twoTo32 % n)
  for (;;) {
    const word = source.next().value
    if (word < limit) return word % n
  }
}

/** The first `count` entries of a random order of 0..n-1 (Fisher-Yates, stopped early). */
const draw = (source: Generator<number, never>, n: number, count: number): Int32Array => {
  const order = Int32Array.from({ length: n }, (_, i) => i)
  for (let i = 0; i < count; i++) {
    const j = i + below(source, n - i)
    const swapped = order[i] ?? 0
    order[i] = order[j] ?? 0
    order[j] = swapped
  }
  return order.subarray(0, count)
}

/**
 * A random order of 0..n-1; determined by the seed and the stream (such as an epoch).
 * @example permutation(0, 3, 5) // the order of five rows in epoch 3
 */
export const permutation = (seed: number, stream: number, n: number): Int32Array =>
  draw(words(seed, stream, purposes.permutation), n, n)

/** FNV-1a over the UTF-8 bytes of a name: 32 bits, the same on every machine. */
export const hashName = (name: string): number =>
  new TextEncoder().encode(name).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5)

/**
 * `rank` of `width` columns, drawn without replacement and sorted. The module's name selects the stream, so the result
 * depends on the seed and the name only, not on the order in which modules are adapted. `rank` must not exceed `width`.
 * @example chooseColumns(0, 'layers.0.self_attn.q_proj', 576, 8)
 */
export const chooseColumns = (seed: number, name: string, width: number, rank: number): Int32Array => {
  if (!(rank >= 0 && rank <= width)) throw new RangeError(`${name}: cannot choose ${rank} of ${width} columns`)
  return draw(words(seed, hashName(name), purposes.columns), width, rank)
    .slice()
    .sort()
}

/**
 * `count` floats, uniform on [0, 1) in steps of 2^-24 (exact in float32); determined by the seed and the stream.
 * @example uniform(0, hashName('layers.0.lora_A'), 64)
 */
export const uniform = (seed: number, stream: number, count: number): Float32Array => {
  const source = words(seed, stream, purposes.uniform)
  return Float32Array.from({ length: count }, () => (source.next().value >>> 8) * 2 ** -24)
}

/**
 * An endless sequence of standard normal numbers, determined by the seed and the stream: each pair of words is a radius
 * and an angle (Box and Muller 1958).
 * @example normals(0, hashName('layers.0.up')).next().value
 */
export function* normals(seed: number, stream: number): Generator<number, never> {
  const source = words(seed, stream, purposes.normal)
  for (;;) {
    // half a step above, so that no logarithm is infinite
    const radius = Math.sqrt(-2 * Math.log((source.next().value + 0.5) / twoTo32))
    const angle = (2 * Math.PI * source.next().value) / twoTo32
    yield radius * Math.cos(angle)
    yield radius * Math.sin(angle)
  }
}

/**
 * The second word of the counter in {@link randomWords}. The sequences above reach it after 2^32 blocks at the
 * earliest, so they yield other words.
 */
export const wordsPurpose = 0x62697473

/**
 * The key of a draw: a seed's two halves, the number of earlier draws, and a number for the user of the draw. Each is
 * taken as 32 bits.
 */
export interface Draw {
  readonly seedLow: number
  readonly seedHigh: number
  readonly draw: number
  readonly stream: number
}

/**
 * `count` random 32-bit words, as signed integers. Word i is word i mod 4 of the block with the counter [i / 4,
 * purpose, draw, stream], so any part of them can be computed alone, and in any order.
 * @example randomWords({ seedLow: 0, seedHigh: 0, draw: 3, stream: hashName('q_proj') }, 8)
 */
export const randomWords = ({ seedLow, seedHigh, draw, stream }: Draw, count: number): Int32Array => {
  const words = new Int32Array(count)
  const key = [seedLow >>> 0, seedHigh >>> 0] as const
  for (let i = 0; i < count; i += 4) {
    const [a, b, c, d] = philox(key, [i / 4, wordsPurpose, draw >>> 0, stream >>> 0])
    // words beyond the end are not written
    words[i] = a
    words[i + 1] = b
    words[i + 2] = c
    words[i + 3] = d
  }
  return words
}

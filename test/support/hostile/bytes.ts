import type { Dice } from '../seeded.ts'
import { hostileJson } from './json.ts'

/** Ways to change the bytes of a valid file, each with what it knows of the format. */
export type Change = (bytes: Buffer, dice: Dice) => Buffer

const integers: readonly bigint[] = [0n, 1n, 2n, 255n, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn].concat([
  2n ** 32n,
  2n ** 40n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
])

/** An integer of 1 to 8 bytes, of either order, written anywhere. */
const withInteger = (bytes: Buffer, at: number, dice: Dice): void => {
  const width = Math.min(dice.of([1, 2, 4, 4, 8, 8]), bytes.length - at)
  const near = BigInt(bytes.length + dice.of([-8, -1, 0, 1, 8]))
  const value = dice.once(4) ? near : dice.of(integers)
  const isBig = dice.once(8)
  for (let i = 0; i < width; i++)
    bytes[at + (isBig ? width - 1 - i : i)] = Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn)
}

/** One change that knows nothing of the format. */
const oneOf = (bytes: Buffer, dice: Dice): Buffer => {
  const at = dice.below(bytes.length + 1)
  const to = Math.min(bytes.length, at + dice.of([1, 4, 16, 64]))
  switch (dice.below(9)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return bytes.subarray(at)
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
    case 4:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(dice.of([1, 8, 1000]), dice.of([0, 0x20, 0x7b, 0xff])),
        bytes.subarray(at),
      ])
    case 5:
      return Buffer.from(Array.from({ length: dice.below(200) }, () => dice.below(256)))
    default: {
      const copy = Buffer.from(bytes)
      if (copy.length === 0) return copy
      if (dice.once(2)) copy[at % copy.length]! ^= 1 << dice.below(8)
      else withInteger(copy, at % copy.length, dice)
      return copy
    }
  }
}

/** Bits flipped, bytes cut, doubled and filled in, integers of all widths put anywhere, and random bytes. */
export const anyBytes: Change = (bytes, dice) => {
  let changed = bytes
  for (let left = 1 + dice.below(3); left > 0; left--) changed = oneOf(changed, dice)
  return changed
}

/** The same in the first bytes, where a binary file has its lengths and offsets, or in the last ones. */
export const edgeBytes: Change = (bytes, dice) => {
  const copy = Buffer.from(bytes)
  const near = Math.min(copy.length, dice.of([32, 200, 2000]))
  if (near === 0) return copy
  for (let left = 1 + dice.below(3); left > 0; left--)
    withInteger(copy, dice.once(3) ? copy.length - 1 - dice.below(near) : dice.below(near), dice)
  return copy
}

/** The structure of JSON, or its bytes. */
export const jsonBytes: Change = (bytes, dice) =>
  dice.once(6) ? anyBytes(bytes, dice) : Buffer.from(hostileJson(bytes.toString(), dice))

/** The same in one line of a file of JSON lines. */
export const jsonLines: Change = (bytes, dice) => {
  if (dice.once(6)) return anyBytes(bytes, dice)
  const lines = bytes.toString().trimEnd().split('\n')
  const at = dice.below(lines.length)
  return Buffer.from(lines.map((line, i) => (i === at ? hostileJson(line, dice) : line)).join('\n'))
}

/** A safetensors file: its header as JSON, with a length that fits or not; its data; or its bytes. */
export const safetensors: Change = (bytes, dice) => {
  const end = 8 + Number(bytes.readBigUInt64LE(0))
  const choice = dice.below(8)
  if (choice === 0) return anyBytes(bytes, dice)
  if (choice === 1) return edgeBytes(bytes, dice)
  if (choice === 2) return Buffer.concat([bytes.subarray(0, end), anyBytes(bytes.subarray(end), dice)])
  const header = Buffer.from(hostileJson(bytes.toString('utf8', 8, end), dice))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(dice.once(10) ? dice.below(2 * header.length) : header.length))
  return Buffer.concat([length, header, bytes.subarray(end)])
}

/** Pieces of a text put in, taken out, repeated and exchanged. */
export const textFrom =
  (pieces: readonly string[]): Change =>
  (bytes, dice) => {
    if (dice.once(8)) return anyBytes(bytes, dice)
    let text = bytes.toString()
    for (let left = 1 + dice.below(4); left > 0; left--) {
      const [at, other] = [dice.below(text.length + 1), dice.below(text.length + 1)]
      const [from, to] = [Math.min(at, other), Math.max(at, other)]
      const piece = dice.of(pieces)
      text = dice.of([
        () => text.slice(0, at) + piece + text.slice(at),
        () => text.slice(0, at) + piece + text.slice(at + piece.length),
        () => text.slice(0, from) + text.slice(Math.min(to, from + 40)),
        () => text.slice(0, to) + text.slice(from),
      ])()
    }
    return Buffer.from(text)
  }

import type { Aligned, AlignedCharacter } from './aligned.ts'

/** GPT-2's character for every byte: printable ones stand for themselves, the others are moved to 256 and up. */
const characters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

const bytes: ReadonlyMap<string, number> = new Map(characters.map((character, byte) => [character, byte]))
const encoder = new TextEncoder()

/** The character of a space. */
export const spaceByte = characters[0x20]!

/** A text with one character for every byte of its UTF-8; the bytes of one character all stand for the same part. */
export const byteCharacters = (text: Aligned): Aligned =>
  text.flatMap((character): AlignedCharacter | readonly AlignedCharacter[] =>
    character.text <= '\x7f'
      ? { ...character, text: characters[character.text.charCodeAt(0)]! }
      : Array.from(encoder.encode(character.text), byte => ({ ...character, text: characters[byte]! })),
  )

/** The bytes that a token of such characters stands for; for any other token, its UTF-8. */
export const bytesOf = (token: string): Iterable<number> => {
  const found = Array.from(token, character => bytes.get(character))
  return found.every(byte => byte !== undefined) ? (found as readonly number[]) : encoder.encode(token)
}

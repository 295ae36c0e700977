import { refusal } from './error.ts'
import { checkNames } from './json.ts'

/** Creates a new decoder: after an error, a decoder keeps its partial input. */
const strict = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The text of the whole characters in the first `length` bytes, or undefined if some bytes can belong to no character.
 */
const textOfPrefix = (bytes: Uint8Array, length: number): string | undefined => {
  try {
    return strict().decode(bytes.subarray(0, length), { stream: true })
  } catch {
    return undefined
  }
}

/** The index of the first byte that belongs to no character. */
const firstBadByte = (bytes: Uint8Array): number => {
  let [good, bad] = [0, bytes.length + 1]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (textOfPrefix(bytes, middle) === undefined) bad = middle
    else good = middle
  }
  return new TextEncoder().encode(textOfPrefix(bytes, good)).length
}

/**
 * The text of a file's bytes, without a byte order mark. Throws a refusal that names the line and the byte if they are
 * not UTF-8.
 * @example decodedText('data.jsonl', await readFile('data.jsonl'))
 */
export const decodedText = (file: string, bytes: Uint8Array): string => {
  try {
    return strict()
      .decode(bytes)
      .replace(/^\uFEFF/, '')
  } catch {
    const at = firstBadByte(bytes)
    const line = bytes.subarray(0, at).reduce((n, byte) => (byte === 0x0a ? n + 1 : n), 1)
    throw refusal(
      `${file} line ${line}: byte ${at} of the file (0x${bytes[at]!.toString(16).padStart(2, '0')}) is not UTF-8`,
    )
  }
}

const isHigh = (code: number): boolean => code >= 0xd800 && code < 0xdc00
const isLow = (code: number): boolean => code >= 0xdc00 && code < 0xe000

/** The index of the first escape of a lone surrogate in a JSON text, or undefined if there is none. */
const halfCharacter = (json: string): { readonly index: number; readonly escape: string } | undefined => {
  if (!/\\u[dD][89a-fA-F]/.test(json)) return undefined
  let high: { readonly index: number; readonly end: number; readonly escape: string } | undefined
  for (const { index, 0: escape, 1: hex } of json.matchAll(/\\(?:u([0-9a-fA-F]{4})|[\s\S])/g)) {
    const code = hex === undefined ? 0 : parseInt(hex, 16)
    const joins = high !== undefined && high.end === index && isLow(code)
    if (high !== undefined && !joins) return high
    if (!joins && isLow(code)) return { index, escape }
    high = isHigh(code) ? { index, end: index + escape.length, escape } : undefined
  }
  return high
}

/**
 * The lone surrogate in the strings of a JSON document, in words, or undefined if there is none: `"\ud800"` parses, but
 * UTF-8 cannot encode it.
 * @example halfCharacterIn('{"text": "\\ud800"}') // 'byte 10 begins the escape \ud800, half a character'
 */
export const halfCharacterIn = (json: string): string | undefined => {
  const half = halfCharacter(json)
  if (half === undefined) return undefined
  const before = json.slice(0, half.index)
  const line = before.split('\n').length
  const byte = new TextEncoder().encode(before.slice(before.lastIndexOf('\n') + 1)).length
  return `${line > 1 ? `line ${line}: ` : ''}byte ${byte} begins the escape ${half.escape}, half a character`
}

/**
 * Parses a JSON document that has only one meaning: duplicate names and very deep nesting are refused ({@link
 * checkNames}), and so are lone surrogates. Throws a refusal that begins with `subject`.
 * @example parsedJson('tokenizer.json', '{"model": {}}')
 */
export const parsedJson = (subject: string, json: string): unknown => {
  if (json.trim() === '') throw refusal(`${subject}: it is not valid JSON: it is empty`)
  checkNames(subject, json)
  const value = ((): unknown => {
    try {
      return JSON.parse(json)
    } catch {
      throw refusal(`${subject}: it is not valid JSON`)
    }
  })()
  const half = halfCharacterIn(json)
  if (half !== undefined) throw refusal(`${subject}: ${half}`)
  return value
}

import { refusal } from './error.ts'
import { checkNames } from './json.ts'

/** A fresh decoder: one that has thrown keeps what it held. */
const strict = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The text of as many of the first `length` bytes as make whole characters, or undefined where some can belong to none.
 */
const textOfPrefix = (bytes: Uint8Array, length: number): string | undefined => {
  try {
    return strict().decode(bytes.subarray(0, length), { stream: true })
  } catch {
    return undefined
  }
}

/** Where the first byte lies that belongs to no character. */
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
 * The text of a file's bytes, without a byte order mark. Throws a refusal of what is no UTF-8, which names the line and
 * the byte.
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

/** Where the first escape of half a character lies in the text of a JSON document, or undefined where there is none. */
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
 * Half a character in the strings of a JSON document, in words: `"\ud800"` parses, but no UTF-8 can say it. Undefined
 * where there is none.
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
 * The value of a JSON document that means one thing only: names that an object has twice and bottomless nesting are
 * refused ({@link checkNames}), and strings are whole characters. Throws a refusal that begins with `subject`.
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

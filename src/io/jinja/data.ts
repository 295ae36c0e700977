import { isRecord } from '../../text/index.ts'
import { raise } from './error.ts'
import { longestInteger } from './lexer.ts'

/** A number that Python reads as a float although it is whole, such as `1.0` in JSON. */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

const mark = '\0'

/**
 * A key of a record as it was written. Keys that look like numbers are marked, because JavaScript would move them to
 * the front.
 */
export const keyWritten = (key: string): string => (key.startsWith(mark) ? key.slice(1) : key)

/** The strings (with the colon after a key) and numbers of a JSON text. */
const literals = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?/gi

const marked = (all: string, string?: string, colon?: string): string => {
  if (string?.startsWith('"\\u0000') === true && colon !== undefined)
    return raise('a key begins with the character U+0000')
  if (string !== undefined)
    return colon !== undefined && /^"\d+"$/.test(string) ? `"\\u0000${string.slice(1)}${colon}` : all
  const isFloat = /[.e]/i.test(all)
  return isFloat
    ? Number.isInteger(Number(all))
      ? `{"\\u0000float":"${all}"}`
      : all
    : Number.isSafeInteger(Number(all))
      ? all
      : all.length > longestInteger
        ? raise(`an int has more than ${longestInteger} digits`)
        : `{"\\u0000int":"${all}"}`
}

const revived = (_: string, value: unknown): unknown => {
  if (!isRecord(value)) return value
  const [float, int] = [value[`${mark}float`], value[`${mark}int`]]
  return typeof float === 'string' ? new Float(Number(float)) : typeof int === 'string' ? BigInt(int) : value
}

/**
 * Parses JSON as Python does, for a template: `1.0` is a `Float`, an int beyond 2^53 a bigint, and keys keep their
 * order (see `keyWritten`). Throws if the text is not JSON, or holds what Python or a template cannot.
 * @example parseData('{"a": 1.0}') // { a: Float 1 }
 */
export const parseData = (text: string): unknown => {
  const plain: unknown = JSON.parse(text)
  const changed = text.replace(literals, marked)
  return changed === text ? plain : JSON.parse(changed, revived)
}

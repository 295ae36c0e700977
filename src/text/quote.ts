const escaped = (character: string): string => {
  switch (character) {
    case '\n':
      return '\\n'
    case '\r':
      return '\\r'
    case '\t':
      return '\\t'
    default:
      return `\\u{${character.codePointAt(0)!.toString(16)}}`
  }
}

/**
 * A text as one line that any terminal can show: control characters, marks that change the direction of text, other
 * invisible characters and lone surrogates are escaped. It is idempotent.
 * @example printable('a\u001b[31m\n') // a\u{1b}[31m\n
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped)

/**
 * A text of at most `longest` characters. A longer one becomes its beginning, its length and its end.
 * @example shortened('x'.repeat(1e7), 60) // xxxx… (10000000 characters) …xxxx
 */
export const shortened = (text: string, longest: number): string => {
  if (text.length <= longest) return text
  const mark = `… (${text.length} characters) …`
  const left = Math.max(0, longest - mark.length)
  const tail = Math.floor(left / 4)
  // a cut inside a surrogate pair leaves one half, which is escaped
  return `${text.slice(0, left - tail)}${mark}${text.slice(text.length - tail)}`
}

const longest = 60

/** The JSON of a value; a value that JSON cannot express becomes a text. */
const jsonOf = (value: unknown): string => {
  // includes NaN and infinities, which JSON lacks
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  // only the beginning of a long text is shown
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 8 * longest))
  try {
    const json = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner))
    return json ?? String(value)
  } catch {
    return 'a value that has no end'
  }
}

/**
 * An untrusted value as an error message shows it: JSON on one line, with control characters escaped, shortened to 60
 * characters.
 * @example quoted('a\nb') // '"a\\nb"'
 */
export const quoted = (value: unknown): string => {
  const text = printable(jsonOf(value))
  const characters = Array.from(text.slice(0, 4 * longest))
  const fits = characters.length <= longest && text.length <= 4 * longest
  return fits ? text : `${characters.slice(0, longest - 1).join('')}…`
}

/**
 * The value of a field in a message; a missing field is `missing`.
 * @example refusal(`${file}: ${field} is ${shown(json[field])}, where a number is expected`)
 */
export const shown = (value: unknown): string => (value === undefined ? 'missing' : quoted(value))

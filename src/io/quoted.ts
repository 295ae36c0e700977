const escaped = (character: string): string => {
  switch (character) {
    case '\n': return '\\n'
    case '\r': return '\\r'
    case '\t': return '\\t'
  }
  const code = character.codePointAt(0)!
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`
}

/**
 * A text as one line that a terminal can show: control characters, marks that turn the direction of text, other
 * invisible characters and lone surrogates are escaped. Applied twice it changes nothing more.
 * @example printable('a\u001b[31m\n') // a\x1b[31m\n
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped)

/**
 * A text of at most so many characters: of a longer one the beginning, how much is left out, and the end.
 * @example shortened('x'.repeat(1e7), 60) // xxxx… (9999960 characters) …xxxx
 */
export const shortened = (text: string, longest: number): string => {
  if (text.length <= longest) return text
  const mark = `… (${text.length} characters) …`, left = Math.max(0, longest - mark.length), tail = Math.floor(left / 4)
  // a cut inside a pair leaves a half, which is escaped
  return `${text.slice(0, left - tail)}${mark}${text.slice(text.length - tail)}`
}

const longestQuote = 80

/**
 * Foreign text in a message: shortened, escaped, and in quotation marks.
 * @example refusal(`${file}: the key ${quoted(key)} occurs twice`)
 */
export const quoted = (text: string): string => `"${printable(shortened(text, longestQuote)).replaceAll('"', '\\"')}"`

/**
 * A foreign value in a message, as JSON; undefined is `missing`.
 * @example refusal(`${file}: ${field} is ${shown(json[field])}, where a number is due`)
 */
export const shown = (value: unknown): string => (typeof value === 'string' ? quoted(value) : printable(shortened(JSON.stringify(value) ?? 'missing', longestQuote)))

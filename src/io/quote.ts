const longest = 60

/**
 * A foreign value as an error sentence shows it: as JSON on one line, control characters escaped, shortened to 60 characters.
 * @example quoted('a\nb') // '"a\\nb"'
 */
export const quoted = (value: unknown): string => {
  const text = (JSON.stringify(value) ?? String(value)).replace(/[\u007f-\u009f\u2028\u2029\ufeff]|\p{Cf}/gu,
    character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
  const characters = Array.from(text.slice(0, 4 * longest))
  return characters.length <= longest && text.length <= 4 * longest ? text : `${characters.slice(0, longest - 1).join('')}…`
}

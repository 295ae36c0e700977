/** Classes of characters as `tokenizers` has them, where they are not those of this machine's Unicode. */
import * as sets from './characters.generated.ts'

/** The inside of a character class (flag u) for ranges of code points, as `41-5a 5f`. */
const classOf = (ranges: string): string =>
  ranges
    .split(' ')
    .map(range =>
      range
        .split('-')
        .map(point => `\\u{${point}}`)
        .join('-'),
    )
    .join('')

const anyOf = (inside: string): RegExp => new RegExp(`[${inside}]`, 'gu')
const isOneOf = (inside: string): ((character: string) => boolean) => {
  const expression = new RegExp(`^[${inside}]$`, 'u')
  return character => expression.test(character)
}

/** Unicode's White_Space: what Rust and Oniguruma call white space. JavaScript's own lacks U+0085 and has U+FEFF. */
export const space = '\\p{White_Space}'
/** A character of a word to Rust's regex crate. */
export const wordCharacter = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}'

/** What pre-tokenizers cut at. */
export const punctuation = anyOf(`${classOf(sets.punctuation)}!-/:-@\\[-\`{-~`)
export const numeric = anyOf('\\p{N}')
export const whiteSpace = anyOf(space)

export const isSpace = isOneOf(space)
/** Accents to StripAccents. */
export const isMark = isOneOf(classOf(sets.marks))
/** Accents to BertNormalizer, and what is no text to it. */
export const isNonspacing = isOneOf(classOf(sets.nonspacing))
export const isControl = isOneOf(`\\0${classOf(sets.controls)}`)

const isWord = isOneOf(wordCharacter)
/** Whether a character belongs to a word. */
export const inWord = (character: string): boolean => isWord(masked(character))

// what this machine's Unicode does not know either is as it should be
const unassigned = new RegExp(`[${classOf(sets.unassigned)}](?<!\\p{Cn})`, 'gu')

/**
 * The same text, unit by unit, for matching against categories: what Oniguruma's Unicode does not know becomes a
 * character of no category.
 * @example masked('\u{2b73a}') // '\u{10fffe}'
 */
export const masked = (text: string): string =>
  text.replace(unassigned, character => (character.length === 2 ? '\u{10fffe}' : '\ufdd0'))

/** Marks that came after Unicode 11: the crate that normalizes neither orders nor composes them. */
const youngMark = `(?![${classOf(sets.marks)}])\\p{M}`
const composedLate = `[${classOf(sets.undecomposed)}]`

/**
 * Whether the crate `unicode-normalization-alignments` 0.1 has no entry for a character: it stands apart in every
 * normal form.
 */
export const standsApart = (character: string): boolean => apart.test(character)
const apart = new RegExp(`^(?:${youngMark}|${composedLate})$`, 'u')
/** Whether that crate composes a pair of characters to this one. */
export const composesTo = (character: string): boolean => !late.test(character)
const late = new RegExp(`^${composedLate}$`, 'u')

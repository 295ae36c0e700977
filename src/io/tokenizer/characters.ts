/** Classes of characters as `tokenizers` defines them, if they differ from this machine's Unicode. */
import * as sets from './characters.generated.ts'

/** The inside of a character class (flag u) for ranges of code points, such as `41-5a 5f`. */
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

/**
 * Unicode's White_Space, which is white space to Rust and Oniguruma. JavaScript's own lacks U+0085 and includes U+FEFF.
 */
export const space = '\\p{White_Space}'
/** The word characters of Rust's regex crate. */
export const wordCharacter = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}'

/** The characters at which pre-tokenizers cut. */
export const punctuation = anyOf(`${classOf(sets.punctuation)}!-/:-@\\[-\`{-~`)
export const numeric = anyOf('\\p{N}')
export const whiteSpace = anyOf(space)

export const isSpace = isOneOf(space)
/** The accents of StripAccents. */
export const isMark = isOneOf(classOf(sets.marks))
/** The accents of BertNormalizer, and the characters that it removes as control characters. */
export const isNonspacing = isOneOf(classOf(sets.nonspacing))
export const isControl = isOneOf(`\\0${classOf(sets.controls)}`)

const isWord = isOneOf(wordCharacter)
/** Tests whether a character belongs to a word. */
export const inWord = (character: string): boolean => isWord(masked(character))

// characters that this machine's Unicode does not know either need no mask
const unassigned = new RegExp(`[${classOf(sets.unassigned)}](?<!\\p{Cn})`, 'gu')

/**
 * The same text, unit by unit, for matching against categories: characters that Oniguruma's Unicode does not know
 * become characters without a category.
 * @example masked('\u{2b73a}') // '\u{10fffe}'
 */
export const masked = (text: string): string =>
  text.replace(unassigned, character => (character.length === 2 ? '\u{10fffe}' : '\ufdd0'))

/** Marks that are newer than Unicode 11: the normalizing crate neither orders nor composes them. */
const youngMark = `(?![${classOf(sets.marks)}])\\p{M}`
const composedLate = `[${classOf(sets.undecomposed)}]`

/**
 * Tests whether the crate `unicode-normalization-alignments` 0.1 has no entry for a character, so that it stands apart
 * in every normal form.
 */
export const standsApart = (character: string): boolean => apart.test(character)
const apart = new RegExp(`^(?:${youngMark}|${composedLate})$`, 'u')
/** Tests whether that crate composes a pair of characters to this one. */
export const composesTo = (character: string): boolean => !late.test(character)
const late = new RegExp(`^${composedLate}$`, 'u')

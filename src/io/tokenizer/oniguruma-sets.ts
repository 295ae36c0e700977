/** The named sets of Oniguruma's expressions, in JavaScript's syntax and in RE2's. */
import type { Translation } from '../../text/expression.ts'
import { wordCharacter } from './characters.ts'

// RE2 has no lookaround, no atomic groups and no Unicode \w
export const same = (text: string): Translation => ({ js: text, re2: text })
export const onlyJs = (js: string): Translation => ({ js, re2: undefined })
export const all = (parts: readonly Translation[], build: (texts: readonly string[]) => string): Translation => {
  const re2 = parts.flatMap(part => part.re2 ?? [])
  return { js: build(parts.map(part => part.js)), re2: re2.length === parts.length ? build(re2) : undefined }
}

/** A code point as both languages write it. */
export const point = (character: string): Translation => {
  const code = character.codePointAt(0)!.toString(16)
  return { js: `\\u{${code}}`, re2: `\\x{${code}}` }
}
export const range = (from: string, to: string): Translation => all([point(from), point(to)], ends => ends.join('-'))

const spaces: readonly (readonly [string, string])[] = [
  ['\t', '\r'],
  [' ', ' '],
  ['\u0085', '\u0085'],
  ['\u00a0', '\u00a0'],
  ['\u1680', '\u1680'],
  ['\u2000', '\u200a'],
  ['\u2028', '\u2029'],
  ['\u202f', '\u202f'],
  ['\u205f', '\u205f'],
  ['\u3000', '\u3000'],
]
const step = (character: string, by: number): string => String.fromCodePoint(character.codePointAt(0)! + by)
const space = all(
  spaces.map(([from, to]) => range(from, to)),
  texts => texts.join(''),
)
const notSpace = all(
  spaces
    .map(([from], i) => range(i === 0 ? '\0' : step(spaces[i - 1]![1], 1), step(from, -1)))
    .concat(range(step('\u3000', 1), '\u{10ffff}')),
  texts => texts.join(''),
)

/** The sets that a letter after a backslash may name inside a class. */
export const sets: ReadonlyMap<string, Translation> = new Map([
  ['s', space],
  ['S', notSpace],
  ['d', same('\\p{Nd}')],
  ['D', same('\\P{Nd}')],
  ['w', onlyJs(wordCharacter.replace('\\p{Join_Control}', ''))],
])
export const controls: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['f', '\f'],
  ['v', '\v'],
  ['a', '\x07'],
  ['e', '\x1b'],
])
export const categories = new Set(
  'L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp'.split(' '),
)
export const scripts = new Set([
  'Arabic',
  'Armenian',
  'Bengali',
  'Cyrillic',
  'Devanagari',
  'Greek',
  'Han',
  'Hangul',
  'Hebrew',
  'Hiragana',
  'Katakana',
  'Latin',
  'Thai',
])

/** The ASCII letters and the characters that Unicode folds to them, which Oniguruma's (?i) matches too. */
export const folded = (letter: string): readonly string[] => [
  letter.toLowerCase(),
  letter.toUpperCase(),
  ...({ s: ['\u017f'], k: ['\u212a'] }[letter.toLowerCase()] ?? []),
]
export const isLetter = (character: string): boolean => /^[a-z]$/i.test(character)

export type Item = { readonly character: string } | { readonly set: Translation; readonly property: string }

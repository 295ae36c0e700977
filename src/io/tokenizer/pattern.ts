/** The patterns of `Split` and `Replace`: `{"String"}` or `{"Regex"}`. */
import { isRecord, quoted, shown } from '../../text/index.ts'
import { search, searchOf, type Search } from '../../text/expression.ts'
import { masked } from './characters.ts'
import type { Fields } from './fields.ts'
import { translate } from './oniguruma.ts'

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
const before = '[^\\r\\n\\p{L}\\p{N}]?'
const spaces = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const cased = (suffix: string): string => `${before}${upper}*${lower}+${suffix}|${before}${upper}+${lower}*${suffix}`

/** The pattern of GPT-2's words, into which `ByteLevel` cuts a text. */
export const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/** The pattern of the words of Llama 3 and similar models, which differ in the grouping of digits. */
export const llama3Words = (digits: string): string =>
  `${contractions}|${before}\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${spaces}`

/**
 * Patterns of widely used tokenizers that never backtrack for long, although they look ahead. They run in V8 without a
 * limit; every other expression runs in RE2 or under a time limit.
 */
const known: ReadonlySet<string> = new Set([
  gpt2Words,
  // Llama 3, Qwen 2 and 2.5, and Qwen 3.5
  llama3Words('\\p{N}{1,3}'),
  llama3Words('\\p{N}'),
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${spaces}`,
  // GPT-4 (cl100k), in two spellings
  `${contractions}|${before}+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
  `'(?i:[sdmt]|ll|ve|re)|${before}+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
  // GPT-4o (o200k), Llama 4, Mistral's Tekken
  `${cased(`${contractions}?`)}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${spaces}`,
  `${cased('')}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${spaces}`,
  // DeepSeek V3 and R1
  '\\p{N}{1,3}',
  '[一-龥぀-ゟ゠-ヿ]+',
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|' +
    '[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|' +
    spaces,
  // the first models of DeepSeek
  '\\s?\\p{L}+',
  '\\s?\\p{P}+',
  '\\s+$',
  '[一-龥ࠀ-一가-\ud7ff]+',
  // single characters: digits and line ends
  '\\p{N}',
  '\\p{N}+',
  '\\d',
  '[0-9]',
  '[\\r\\n]',
  '\\s+',
  ' ',
])

/**
 * The search that `tokenizers` does with an expression of Oniguruma. Throws a refusal if the expression is not
 * supported.
 */
export const regexSearch = (subject: string, source: string): Search => {
  const translation = translate(subject, source)
  const find = known.has(source) ? search(new RegExp(translation.js, 'gu')) : searchOf({ subject, source }, translation)
  return translation.byCategory ? text => find(masked(text)) : find
}

/** Searches for a literal text. */
export const textSearch =
  (sought: string): Search =>
  text => {
    const matches: (readonly [number, number])[] = []
    for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length))
      matches.push([at, at + sought.length])
    return matches
  }

/** The search of a component's `pattern`. */
export const patternOf = (fields: Fields): Search => {
  const pattern = fields.take('pattern')
  const [[kind, source] = []] = isRecord(pattern) ? Object.entries(pattern) : []
  if (!isRecord(pattern) || Object.keys(pattern).length !== 1 || typeof source !== 'string' || source === '') {
    return fields.refuse(`"pattern" must hold a "String" or a "Regex", not ${shown(pattern)}`)
  }
  if (kind === 'String') return textSearch(source)
  return kind === 'Regex'
    ? regexSearch(fields.place, source)
    : fields.unsupported(`a pattern of the kind ${quoted(kind)}`)
}

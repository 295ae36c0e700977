import * as library from '@huggingface/tokenizers'
import { isRecord } from '../file.ts'
import { mapped, prefixed, replaced, type Aligned } from './aligned.ts'
import { normalized } from './unicode.ts'

/** Rewrites a text and keeps where its characters come from. */
export type Normalizer = (text: Aligned) => Aligned

type Json = Readonly<Record<string, unknown>>

const isSpace = (character: string): boolean => /^\p{White_Space}$/u.test(character)

const without = (dropped: (character: string) => boolean): Normalizer => text => text.filter(character => !dropped(character.text))

const lowercase: Normalizer = text => mapped(text, character => character.toLowerCase())

const stripped = (left: boolean, right: boolean): Normalizer => text => {
  const keeps = (character: { readonly text: string }): boolean => !isSpace(character.text)
  const first = text.findIndex(keeps), last = text.findLastIndex(keeps)
  return text.slice(left ? (first < 0 ? text.length : first) : 0, right ? last + 1 : text.length)
}

const isIdeograph = (character: string): boolean => {
  const point = character.codePointAt(0) ?? 0
  return (point >= 0x4E00 && point <= 0x9FFF) || (point >= 0x3400 && point <= 0x4DBF) || (point >= 0x20000 && point <= 0x2A6DF)
    || (point >= 0x2A700 && point <= 0x2B73F) || (point >= 0x2B740 && point <= 0x2B81F) || (point >= 0x2B920 && point <= 0x2CEAF)
    || (point >= 0xF900 && point <= 0xFAFF) || (point >= 0x2F800 && point <= 0x2FA1F)
}

const isControl = (character: string): boolean => !/^[\t\n\r]$/.test(character) && /^[\p{Cc}\p{Cf}\p{Cn}\p{Co}]$/u.test(character)

const bert = (config: Json): Normalizer => {
  const lower = config['lowercase'] !== false
  const accents = config['strip_accents'] ?? lower
  const steps: readonly (Normalizer | false)[] = [
    config['clean_text'] !== false && (text => mapped(without(character => character === '\0' || character === '\uFFFD' || isControl(character))(text),
      character => isSpace(character) ? ' ' : character)),
    config['handle_chinese_chars'] !== false && (text => mapped(text, character => isIdeograph(character) ? ` ${character} ` : character)),
    accents === true && (text => without(character => /^\p{Mn}$/u.test(character))(normalized(text, 'NFD'))),
    lower && lowercase
  ]
  return text => steps.reduce((result, step) => step === false ? result : step(result), text)
}

/** The library's own reading of a pattern; its declarations do not resolve under Node, so its type is stated here. */
const { ReplaceNormalizer } = library as unknown as { ReplaceNormalizer: new (config: Json) => { readonly pattern: RegExp | null } }

const replacement = (config: Json): Normalizer => {
  const pattern = isRecord(config['pattern']) ? config['pattern'] : {}
  const content = typeof config['content'] === 'string' ? config['content'] : ''
  const expression = new ReplaceNormalizer({ type: 'Replace', pattern, content }).pattern
  if (expression === null) throw new Error('a Replace without a pattern')
  return text => replaced(text, expression, content)
}

/**
 * The normalizer that a tokenizer.json describes (null: the text stays). Throws on a kind that is not known.
 * @example normalizerOf({ type: 'Prepend', prepend: '▁' })
 */
export const normalizerOf = (config: unknown): Normalizer => {
  if (config === null || config === undefined) return text => text
  if (!isRecord(config)) throw new Error('the normalizer is no object')
  const type = config['type']
  switch (type) {
    case 'Sequence': {
      const steps = Array.isArray(config['normalizers']) ? config['normalizers'].map(normalizerOf) : []
      return text => steps.reduce((result, step) => step(result), text)
    }
    case 'Prepend': return text => prefixed(text, String(config['prepend']))
    case 'Replace': return replacement(config)
    case 'Lowercase': return lowercase
    case 'NFC': case 'NFD': case 'NFKC': case 'NFKD': return text => normalized(text, type)
    case 'Strip': return stripped(config['strip_left'] !== false, config['strip_right'] !== false)
    case 'StripAccents': return without(character => /^\p{M}$/u.test(character))
    case 'BertNormalizer': return bert(config)
    default: throw new Error(`the normalizer ${JSON.stringify(type)} is not known`)
  }
}

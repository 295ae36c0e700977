/** Normalizes a text before it is cut. Source: huggingface/tokenizers 0.23, src/normalizers. */
import { mapped, prefixed, replaced, type Aligned } from './aligned.ts'
import { byteCharacters } from './bytes.ts'
import { isControl, isMark, isNonspacing, isSpace } from './characters.ts'
import { fieldsOf, type Fields } from './fields.ts'
import { normalForm } from './normal-form.ts'
import { patternOf } from './pattern.ts'

/** Rewrites a text and keeps the origin of its characters. */
export type Normalizer = (text: Aligned) => Aligned

const without =
  (dropped: (character: string) => boolean): Normalizer =>
  text =>
    text.filter(character => !dropped(character.text))

/** Lowercases letter by letter, as Rust does: a final Σ becomes σ. */
const lowercase: Normalizer = text => mapped(text, letter => letter.toLowerCase())

const stripped =
  (left: boolean, right: boolean): Normalizer =>
  text => {
    const keeps = (character: { readonly text: string }): boolean => !isSpace(character.text)
    const first = text.findIndex(keeps)
    const last = text.findLastIndex(keeps)
    return text.slice(left ? (first < 0 ? text.length : first) : 0, right ? last + 1 : text.length)
  }

const ideograph = new RegExp(
  '^[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}' +
    '\\u{2b920}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]$',
  'u',
)

const bert = (fields: Fields): Normalizer => {
  const clean = fields.flag('clean_text')
  const apart = fields.flag('handle_chinese_chars')
  const lower = fields.flag('lowercase')
  const accents = fields.flag('strip_accents', lower)
  const cleaned: Normalizer = text =>
    mapped(without(isControl)(text), character => (isSpace(character) ? ' ' : character))
  const steps: readonly Normalizer[] = [
    ...(clean ? [cleaned] : []),
    ...(apart
      ? [(text: Aligned) => mapped(text, character => (ideograph.test(character) ? ` ${character} ` : character))]
      : []),
    ...(accents ? [(text: Aligned) => without(isNonspacing)(normalForm(text, 'NFD'))] : []),
    ...(lower ? [lowercase] : []),
  ]
  return text => steps.reduce((text, step) => step(text), text)
}

/** The normalizer at `path` of a file. Throws a refusal if it is not supported. */
export const normalizerOf = (subject: string, path: string, value: unknown): Normalizer => {
  const fields = fieldsOf(subject, path, value)
  const made = ((): Normalizer => {
    switch (fields.type) {
      case 'Sequence': {
        const parts = fields
          .list('normalizers')
          .map((part, i) => normalizerOf(subject, `${path}.normalizers[${i}]`, part))
        return text => parts.reduce((text, part) => part(text), text)
      }
      case 'NFC':
      case 'NFD':
      case 'NFKC':
      case 'NFKD': {
        const form = fields.type
        return text => normalForm(text, form)
      }
      case 'Lowercase':
        return lowercase
      case 'StripAccents':
        return without(isMark)
      case 'Strip':
        return stripped(fields.flag('strip_left'), fields.flag('strip_right'))
      case 'Prepend': {
        const prefix = fields.string('prepend')
        return text => prefixed(text, prefix)
      }
      case 'Replace': {
        const [find, content] = [patternOf(fields), fields.string('content')]
        return text => replaced(text, find, content)
      }
      case 'ByteLevel':
        return byteCharacters
      case 'BertNormalizer':
        return bert(fields)
      default:
        return fields.unsupported()
    }
  })()
  fields.end()
  return made
}

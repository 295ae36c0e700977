/** Cuts a normalized text into words. Source: huggingface/tokenizers 0.23, src/pre_tokenizers. */
import { search } from '../../text/expression.ts'
import { mapped, prefixed, type Aligned } from './aligned.ts'
import { byteCharacters } from './bytes.ts'
import { masked, numeric, punctuation, space, whiteSpace, wordCharacter } from './characters.ts'
import { fieldsOf, type Fields } from './fields.ts'
import { gpt2Words, patternOf, regexSearch, textSearch } from './pattern.ts'
import { behaviors, cut, type Cut } from './split.ts'

/** Cuts a piece of a text into smaller ones. */
export type PreTokenizer = (piece: Aligned) => readonly Aligned[]

const cutting =
  (...cuts: readonly Cut[]): PreTokenizer =>
  piece =>
    cuts.reduce<readonly Aligned[]>((pieces, how) => pieces.flatMap(piece => cut(piece, how)), [piece])

/** The options of Metaspace, which are also those of its decoder. */
export const metaspaceOptions = (fields: Fields) => {
  const mark = fields.string('replacement')
  const split = fields.flag('split', true)
  const scheme = fields.oneOf('prepend_scheme', ['always', 'first', 'never'], 'always')
  fields.take('str_rep')
  if ([...mark].length !== 1) fields.refuse('"replacement" must be one character')
  if (!fields.flag('add_prefix_space', true) && scheme !== 'never') {
    fields.refuse(`"add_prefix_space" is false, but "prepend_scheme" is "${scheme}"`)
  }
  return { mark, split, scheme }
}

const metaspace = (fields: Fields): PreTokenizer => {
  const { mark, split, scheme } = metaspaceOptions(fields)
  const words = cutting({ find: textSearch(mark), behavior: 'MergedWithNext' })
  return piece => {
    const marked = mapped(piece, character => (character === ' ' ? mark : character))
    const begins = scheme === 'always' || (scheme === 'first' && marked[0]?.start === 0)
    const text = begins && marked[0]?.text !== mark ? prefixed(marked, mark) : marked
    return split ? words(text) : [text]
  }
}

const byteLevel = (fields: Fields): PreTokenizer => {
  const prefix = fields.flag('add_prefix_space')
  const regex = fields.flag('use_regex', true)
  fields.flag('trim_offsets', true)
  const words = cutting({ find: regexSearch(fields.place, gpt2Words), behavior: 'Isolated' })
  return piece => {
    const text = prefix && piece[0]?.text !== ' ' ? prefixed(piece, ' ') : piece
    return (regex ? words(text) : [text]).map(byteCharacters)
  }
}

const words = search(new RegExp(`[${wordCharacter}]+|[^${wordCharacter}${space}]+`, 'gu'))
const betweenSpaces: Cut = { find: search(whiteSpace), behavior: 'Removed' }

/** The pre-tokenizer at `path` of a file. Throws a refusal if it is not supported. */
export const preTokenizerOf = (subject: string, path: string, value: unknown): PreTokenizer => {
  const fields = fieldsOf(subject, path, value)
  const made = ((): PreTokenizer => {
    switch (fields.type) {
      case 'Sequence': {
        const parts = fields
          .list('pretokenizers')
          .map((part, i) => preTokenizerOf(subject, `${path}.pretokenizers[${i}]`, part))
        return piece => parts.reduce<readonly Aligned[]>((pieces, part) => pieces.flatMap(part), [piece])
      }
      case 'ByteLevel':
        return byteLevel(fields)
      case 'Metaspace':
        return metaspace(fields)
      case 'Split':
        return cutting({
          find: patternOf(fields),
          behavior: fields.oneOf('behavior', behaviors),
          invert: fields.flag('invert'),
        })
      case 'Digits':
        return cutting({
          find: search(numeric),
          behavior: fields.flag('individual_digits') ? 'Isolated' : 'Contiguous',
        })
      case 'Punctuation':
        return cutting({ find: search(punctuation), behavior: fields.oneOf('behavior', behaviors, 'Isolated') })
      case 'Whitespace':
        return cutting({ find: text => words(masked(text)), behavior: 'Removed', invert: true })
      case 'WhitespaceSplit':
        return cutting(betweenSpaces)
      case 'BertPreTokenizer':
        return cutting(betweenSpaces, { find: search(punctuation), behavior: 'Isolated' })
      default:
        return fields.unsupported()
    }
  })()
  fields.end()
  return made
}

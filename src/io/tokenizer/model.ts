/** Turns a word into token ids. Source: huggingface/tokenizers 0.23, src/models. */
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { isRecord, quoted, shown } from '../../text/index.ts'
import { fieldsOf, isId, type Fields } from './fields.ts'
import { unigram } from './unigram.ts'

/** A token of a word: the part of the word from `from` up to `to`, in characters. */
export interface Token {
  readonly id: number
  readonly from: number
  readonly to: number
}

export interface Model {
  readonly encode: (word: string) => readonly Token[]
  readonly ids: ReadonlyMap<string, number>
  readonly tokens: ReadonlyMap<number, string>
}

type Vocabulary = Pick<Model, 'ids' | 'tokens'>

/** The vocabulary of a model, token by token. Throws a refusal if an id is invalid, or if two tokens share it. */
const vocabulary = (fields: Fields): Vocabulary => {
  const vocab = fields.take('vocab')
  if (!isRecord(vocab)) return fields.refuse('"vocab" must be an object of tokens with their ids')
  const ids = new Map<string, number>()
  const tokens = new Map<number, string>()
  for (const token of Object.keys(vocab)) {
    const id = vocab[token]
    if (!isId(id)) return fields.refuse(`the id of the token ${quoted(token)} must be a whole number, not ${shown(id)}`)
    ids.set(token, id)
    tokens.set(id, token)
    if (tokens.size < ids.size) {
      const other = [...ids].find(([, one]) => one === id)?.[0]
      fields.refuse(`the tokens ${quoted(other)} and ${quoted(token)} have the same id ${id}`)
    }
  }
  return { ids, tokens }
}

const unknownId = (fields: Fields, ids: ReadonlyMap<string, number>): number => {
  const token = fields.string('unk_token')
  return ids.get(token) ?? fields.refuse(`"unk_token" ${quoted(token)} is not in the vocabulary`)
}

/** The number of characters of a text. */
const lengthOf = (text: string): number => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0)

/** The part of the library's models that is used: its algorithms, without its treatment of unknown text. */
interface LibraryModel {
  readonly bpe: (word: string) => readonly string[]
  readonly encode: (words: readonly string[]) => readonly string[]
}
const libraryModel = (model: object): LibraryModel =>
  new Library(
    { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model },
    {},
  ).model as unknown as LibraryModel

const hexadecimal = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
const byteTokens = Array.from({ length: 256 }, (_, byte) => hexadecimal(byte))
const encoder = new TextEncoder()
/** The ids of a text's bytes, each of which is a token of its own. */
const fallback = (text: string, ids: ReadonlyMap<string, number>): readonly number[] =>
  Array.from(encoder.encode(text), byte => ids.get(byteTokens[byte]!)!)

/** Tests whether a model falls back to bytes, in which case it must have a token for every byte. */
const fallsBack = (fields: Fields, ids: ReadonlyMap<string, number>): boolean => {
  if (!fields.flag('byte_fallback', false)) return false
  const missing = byteTokens.find(token => !ids.has(token))
  return (
    missing === undefined || fields.refuse(`"byte_fallback" needs a token for every byte, and ${missing} is missing`)
  )
}

/** The merges of BPE, as pairs. Throws a refusal if a merge has parts or a result that are not tokens. */
const mergesOf = (
  fields: Fields,
  ids: ReadonlyMap<string, number>,
  closed: (token: string) => boolean,
): readonly [string, string][] =>
  fields
    .list('merges')
    .filter(merge => !(typeof merge === 'string' && merge.startsWith('#version')))
    .map(merge => {
      const parts: readonly unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : []
      const [a, b] = parts
      if (parts.length !== 2 || typeof a !== 'string' || typeof b !== 'string')
        return fields.refuse(`the merge ${quoted(merge)} is not a pair of tokens`)
      const missing = !ids.has(a) ? a : !ids.has(b) ? b : ids.has(a + b) ? undefined : a + b
      if (missing !== undefined)
        fields.refuse(`the merge ${quoted(merge)} needs the token ${quoted(missing)}, which is not in the vocabulary`)
      if (closed(a) || closed(b))
        fields.unsupported(`the merge ${quoted(merge)} of a token that stands for unknown text`)
      return [a, b]
    })

const bpe = (fields: Fields): Model => {
  const { ids, tokens } = vocabulary(fields)
  const byteFallback = fallsBack(fields, ids)
  const fuse = fields.flag('fuse_unk', false)
  const whole = fields.flag('ignore_merges', false)
  const unknown = fields.take('unk_token') === undefined ? undefined : unknownId(fields, ids)
  const suffix = fields.string('end_of_word_suffix', '')
  if (fields.string('continuing_subword_prefix', '') !== '') fields.unsupported('"continuing_subword_prefix"')
  if ((fields.take('dropout') ?? 0) !== 0) fields.unsupported('"dropout", which draws other ids every time')
  const drops = unknown === undefined && !byteFallback
  if (drops && suffix !== '') fields.unsupported('"end_of_word_suffix" and no "unk_token"')
  const closed = new Set([unknown, ...(byteFallback ? byteTokens.map(token => ids.get(token)) : [])])
  const merges = mergesOf(fields, ids, token => closed.has(ids.get(token)))
  // only the library's merging is used
  const library = libraryModel({ type: 'BPE', vocab: {}, merges, end_of_word_suffix: suffix === '' ? null : suffix })
  const suffixLength = lengthOf(suffix)
  return {
    ids,
    tokens,
    encode: word => {
      const known = whole ? ids.get(word) : undefined
      if (known !== undefined) return [{ id: known, from: 0, to: lengthOf(word) }]
      // characters without a token are dropped before merging, unless there is a token for unknown text
      const kept = drops
        ? Array.from(word, (character, i) => ({ character, i })).filter(({ character }) => ids.has(character))
        : undefined
      const place = (at: number): number => kept?.[at]?.i ?? at
      const merged = library.bpe(kept?.map(({ character }) => character).join('') ?? word)
      const found: Token[] = []
      let at = 0
      let fusing = false
      for (const [i, token] of merged.entries()) {
        const id = ids.get(token)
        const length = lengthOf(token) - (i === merged.length - 1 ? suffixLength : 0)
        const extent = { from: place(at), to: place(at + length - 1) + 1 }
        if (id !== undefined) found.push({ id, ...extent })
        else if (byteFallback) found.push(...fallback(token, ids).map(id => ({ id, ...extent })))
        else if (fuse && fusing) found[found.length - 1] = { ...found.at(-1)!, to: extent.to }
        else found.push({ id: unknown!, ...extent })
        fusing = id === undefined
        at += length
      }
      return found
    },
  }
}

const wordPiece = (fields: Fields): Model => {
  const { ids, tokens } = vocabulary(fields)
  const unknown = unknownId(fields, ids)
  const prefix = fields.string('continuing_subword_prefix')
  const library = libraryModel({
    type: 'WordPiece',
    vocab: Object.fromEntries(ids),
    unk_token: fields.string('unk_token'),
    continuing_subword_prefix: prefix,
    max_input_chars_per_word: fields.integer('max_input_chars_per_word'),
  })
  const prefixLength = lengthOf(prefix)
  return {
    ids,
    tokens,
    encode: word => {
      const found = library.encode([word])
      if (found.length === 1) return [{ id: ids.get(found[0]!) ?? unknown, from: 0, to: lengthOf(word) }]
      let at = 0
      return found.map((token, i) => ({
        id: ids.get(token)!,
        from: at,
        to: (at += lengthOf(token) - (i === 0 ? 0 : prefixLength)),
      }))
    },
  }
}

const wordLevel = (fields: Fields): Model => {
  const { ids, tokens } = vocabulary(fields)
  const unknown = unknownId(fields, ids)
  return { ids, tokens, encode: word => [{ id: ids.get(word) ?? unknown, from: 0, to: lengthOf(word) }] }
}

const unigramModel = (fields: Fields): Model => {
  const entries = fields.list('vocab').map((entry, id): readonly [string, number] => {
    const [token, score]: readonly unknown[] = Array.isArray(entry) && entry.length === 2 ? entry : []
    return typeof token === 'string' && typeof score === 'number' && Number.isFinite(score)
      ? [token, score]
      : fields.refuse(`entry ${id} of "vocab" must be a token and its score, not ${quoted(entry)}`)
  })
  const ids = new Map(entries.map(([token], id) => [token, id]))
  const twice = entries.find(([token], id) => ids.get(token) !== id)
  if (twice !== undefined) fields.refuse(`the token ${quoted(twice[0])} stands twice in "vocab"`)
  const unknown = fields.integer('unk_id')
  if (unknown >= entries.length) fields.refuse(`"unk_id" ${unknown} is none of the ${entries.length} tokens`)
  const byteFallback = fallsBack(fields, ids)
  const segment = unigram(entries, unknown)
  return {
    ids,
    tokens: new Map(entries.map(([token], id) => [id, token])),
    encode: word => {
      let at = 0
      return segment(word).flatMap(piece => {
        const known = ids.get(piece)
        const extent = { from: at, to: (at += lengthOf(piece)) }
        return (known === undefined && byteFallback ? fallback(piece, ids) : [known ?? unknown]).map(id => ({
          id,
          ...extent,
        }))
      })
    },
  }
}

/** The type of a model in an older format, which does not name it. */
const implied = (model: unknown): string | undefined => {
  if (!isRecord(model)) return undefined
  if (Array.isArray(model['vocab'])) return 'Unigram'
  if (Array.isArray(model['merges'])) return 'BPE'
  return typeof model['max_input_chars_per_word'] === 'number' ? 'WordPiece' : undefined
}

/** The model of a file. Throws a refusal if it is not supported. */
export const modelOf = (subject: string, value: unknown): Model => {
  const fields = fieldsOf(subject, 'model', value, implied(value))
  const make = new Map([
    ['BPE', bpe],
    ['WordPiece', wordPiece],
    ['WordLevel', wordLevel],
    ['Unigram', unigramModel],
  ]).get(fields.type)
  const model = make === undefined ? fields.unsupported() : make(fields)
  fields.end()
  return model
}

import { isRecord } from '../file.ts'
import { aligned, extentOf, textOf, type Aligned, type AlignedCharacter, type Offsets } from './aligned.ts'
import { sectionExtent, sectioner, type AddedToken } from './added.ts'
import { byteCharacters, trimmer } from './byte-level.ts'
import { normalizerOf } from './normalizer.ts'

type Json = Readonly<Record<string, unknown>>

/** Token ids, and where each stands: `text.slice(start, end)`. What is wrapped around a whole sequence stands at [0, 0]. */
export interface Encoding {
  readonly ids: readonly number[]
  readonly offsets: readonly Offsets[]
}

/** What is used of `@huggingface/tokenizers`. */
export interface Library {
  readonly token_to_id: (token: string) => number | undefined
  readonly pre_tokenizer: ((text: string, options: { readonly section_index: number }) => readonly string[]) | null
  readonly model: (((words: readonly string[]) => readonly string[]) & { readonly unk_token_id?: number }) | null
  readonly post_processor: ((tokens: readonly string[], pair: null, special: boolean) => { readonly tokens: readonly string[] }) | null
}

interface Piece { readonly token: string, readonly id: number, readonly offsets: Offsets }

const kindsOf = (config: unknown): readonly unknown[] => !isRecord(config) ? []
  : Array.isArray(config['pretokenizers']) ? config['pretokenizers'].flatMap(kindsOf) : [config['type']]

const isSpace = (character: AlignedCharacter | undefined): boolean => character !== undefined && /^\p{White_Space}$/u.test(character.text)

/**
 * The characters of each word that a section was cut into. White space may be left out between words, and a word may begin with a
 * character (a space that was put in front) that the section has not: it stands for what the next one stands for.
 */
const charactersOf = (words: readonly string[], section: Aligned, prefix: string | undefined): readonly Aligned[] => {
  let at = 0
  const found = words.map(word => {
    const characters = Array.from(word)
    const fits = (from: number, skip: number): boolean => characters.every((character, i) => i < skip || section[from + i - skip]?.text === character)
    const skip = !fits(at, 0) && prefix === characters[0] && fits(at, 1) ? 1 : 0
    let from = at
    while (!fits(from, skip)) {
      if (!isSpace(section[from])) throw new Error('its words are not those of the text')
      from++
    }
    const next = section[from]
    if (next === undefined) throw new Error('its words are not those of the text')
    const own = section.slice(from, from + characters.length - skip)
    at = from + own.length
    return skip === 0 ? own : [{ ...next, text: characters[0]! }, ...own]
  })
  if (!section.slice(at).every(isSpace)) throw new Error('its words are not those of the text')
  return found
}

const byteToken = /^<0x([0-9A-F]{2})>$/

/** Where the tokens of one word stand. A token is a part of the word, a byte of a character, or stands for what the vocabulary lacks. */
const placed = (word: Aligned, tokens: readonly string[], known: (text: string) => boolean, model: Json): readonly Offsets[] => {
  const unknown = model['type'] === 'Unigram' ? undefined : model['unk_token']
  const prefix = model['type'] === 'WordPiece' && typeof model['continuing_subword_prefix'] === 'string' ? model['continuing_subword_prefix'] : ''
  let at = 0, byte = 0
  const take = (count: number): Offsets => {
    const extent = extentOf(word.slice(at, at + count))
    if (extent === undefined) throw new Error('its tokens are more than the text')
    at += count
    return extent
  }
  const offsets = tokens.map((token, i): Offsets => {
    const characters = Array.from(i > 0 && token.startsWith(prefix) ? token.slice(prefix.length) : token)
    if (byte === 0 && characters.length > 0 && characters.every((character, j) => word[at + j]?.text === character)) return take(characters.length)
    const bytes = new TextEncoder().encode(word[at]?.text ?? ''), code = byteToken.exec(token)?.[1]
    if (model['byte_fallback'] === true && code !== undefined && bytes[byte] === parseInt(code, 16)) {
      const last = byte === bytes.length - 1, here = extentOf(word.slice(at, at + 1))!
      if (last) at++
      byte = last ? 0 : byte + 1
      return here
    }
    if (token !== unknown) throw new Error(`its token ${JSON.stringify(token)} is not part of the text`)
    if (model['type'] === 'WordPiece' || model['type'] === 'WordLevel') return take(word.length)
    let count = 1
    if (model['fuse_unk'] === true) while (at + count < word.length && !known(word[at + count]!.text)) count++
    return take(count)
  })
  if (at !== word.length || byte !== 0) throw new Error('its tokens are less than the text')
  return offsets
}

/** Encodes a text, with or without offsets. `place` throws where a token cannot be told from the text. */
export interface Encoder {
  readonly ids: (text: string, options: { readonly special: boolean }) => readonly number[]
  readonly place: (text: string, options: { readonly special: boolean }) => Encoding
}

const nowhere: Offsets = [0, 0]

/**
 * Makes the encoder of a tokenizer: added tokens and normalization as `tokenizers` has them, the library's words and model, and where
 * every token stands. Throws on a normalizer that is not known.
 * @example encoderOf(json, library, added).place('a b', { special: false }).offsets // [[0, 1], [1, 3]]
 */
export const encoderOf = (json: Json, library: Library, added: readonly AddedToken[]): Encoder => {
  const cut = sectioner(added, normalizerOf(json['normalizer']))
  const model = isRecord(json['model']) ? json['model'] : {}
  const kinds = kindsOf(json['pre_tokenizer'])
  const trim = trimmer(json['post_processor'])
  // How words write a space, which they may begin with though the section does not.
  const written = kinds.includes('ByteLevel') ? 'Ġ' : kinds.includes('Metaspace') ? '▁' : undefined
  const visible = (section: Aligned): Aligned => written === 'Ġ' ? byteCharacters(section)
    : written === undefined ? section : section.map(character => character.text === ' ' ? { ...character, text: written } : character)
  const known = (text: string): boolean => library.token_to_id(text) !== undefined
  const idOf = (token: string): number => {
    const id = library.token_to_id(token) ?? library.model?.unk_token_id
    if (id === undefined) throw new Error(`its token ${JSON.stringify(token)} has no id`)
    return id
  }
  const wordsOf = (section: Aligned): readonly string[] => library.pre_tokenizer === null ? [textOf(section)]
    : library.pre_tokenizer(textOf(section), { section_index: section[0]?.start === 0 ? 0 : 1 })
  const tokensOf = (word: string): readonly string[] => library.model?.([word]) ?? []
  const plain = (section: Aligned): readonly Piece[] => {
    const words = wordsOf(section)
    return charactersOf(words, visible(section), written).flatMap((characters, i) => {
      const tokens = tokensOf(words[i]!), offsets = placed(characters, tokens, known, model)
      return tokens.map((token, j) => ({ token, id: idOf(token), offsets: offsets[j]! }))
    })
  }
  // Where a sequence stands among the tokens that are wrapped around it.
  const wrapped = library.post_processor?.(['\0'], null, true).tokens ?? ['\0']
  const around = (tokens: readonly string[]): readonly Piece[] => tokens.map(token => ({ token, id: idOf(token), offsets: nowhere }))
  const [before, after] = [around(wrapped.slice(0, wrapped.indexOf('\0'))), around(wrapped.slice(wrapped.indexOf('\0') + 1))]
  return {
    ids: (text, { special }) => {
      const inside = cut(aligned(text)).flatMap((section): readonly number[] => section.token === undefined
        ? wordsOf(section.text).flatMap(word => tokensOf(word).map(idOf))
        : [section.token.id])
      return special ? [...before.map(piece => piece.id), ...inside, ...after.map(piece => piece.id)] : inside
    },
    place: (text, { special }) => {
      const characters = aligned(text), units = [0]
      for (const character of characters) units.push(units.at(-1)! + character.text.length)
      const inside = trim(cut(characters).flatMap((section): readonly Piece[] => section.token === undefined
        ? plain(section.text)
        : [{ token: textOf(section.text), id: section.token.id, offsets: sectionExtent(section) }]))
      const pieces = special ? [...before, ...inside, ...after] : inside
      return { ids: pieces.map(piece => piece.id), offsets: pieces.map(({ offsets: [start, end] }) => [units[start]!, units[end]!]) }
    }
  }
}

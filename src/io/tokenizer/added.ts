/**
 * Finds the added tokens in a text, before anything else is done to it. Source: huggingface/tokenizers 0.23,
 * tokenizer/added_vocabulary.rs.
 */
import { isRecord, refusal, quoted, shown } from '../../text/index.ts'
import { aligned, textOf, type Aligned } from './aligned.ts'
import { inWord, isSpace } from './characters.ts'
import { fieldsOf, isId } from './fields.ts'
import type { Normalizer } from './normalizer.ts'

export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Matched only if no word character is next to it. */
  readonly single_word: boolean
  /** Absorbs the white space on its left (`lstrip`) or right (`rstrip`). */
  readonly lstrip: boolean
  readonly rstrip: boolean
  /** Searched in the normalized text, in its own normalized form. */
  readonly normalized: boolean
  readonly special: boolean
}

/** A token that a file names; its id may come from the vocabulary. */
export type NamedToken = Omit<AddedToken, 'id'> & { readonly id?: number }

/**
 * One added token of a file. Throws a refusal if its id is invalid, or if it has unknown fields.
 * @example addedToken('tokenizer.json', 'added_tokens[0]', { id: 1, content: '<s>', special: true, ... })
 */
export const addedToken = (subject: string, path: string, value: unknown, given?: number): AddedToken => {
  const fields = fieldsOf(subject, path, isRecord(value) ? { ...value, type: 'AddedToken' } : value)
  const content = fields.string('content')
  const written = given ?? fields.take('id')
  const id = isId(written)
    ? written
    : fields.refuse(`the id of ${quoted(content)} must be a whole number, not ${shown(written)}`)
  const special = fields.flag('special', false)
  const token = {
    id,
    content,
    special,
    normalized: fields.flag('normalized', !special),
    single_word: fields.flag('single_word', false),
    lstrip: fields.flag('lstrip', false),
    rstrip: fields.flag('rstrip', false),
  }
  fields.take('__type')
  fields.end()
  return token
}

/** A stretch of a text: one added token, or text without any. */
export interface Section {
  readonly text: Aligned
  readonly token?: AddedToken
}

/** Tokens by their first character, each with the characters to search for, longest first. */
type Sought = ReadonlyMap<string, readonly { readonly characters: readonly string[]; readonly token: AddedToken }[]>

const soughtOf = (subject: string, tokens: readonly (readonly [text: string, token: AddedToken])[]): Sought => {
  const byText = new Map<string, AddedToken>()
  const found = new Map<string, { readonly characters: readonly string[]; readonly token: AddedToken }[]>()
  for (const [text, token] of tokens) {
    const other = byText.get(text)
    if (text === '')
      throw refusal(`${subject}: the added token ${quoted(token.content)} is empty once it is normalized`)
    if (other !== undefined) {
      throw refusal(
        `${subject}: the added tokens ${quoted(other.content)} and ${quoted(token.content)} ` +
          'are the same once they are normalized',
      )
    }
    byText.set(text, token)
    const characters = Array.from(text)
    const first = found.get(characters[0]!)
    if (first === undefined) found.set(characters[0]!, [{ characters, token }])
    else first.push({ characters, token })
  }
  for (const list of found.values()) list.sort((a, b) => b.characters.length - a.characters.length)
  return found
}

/** Cuts a text at its added tokens, from left to right; at every position the longest one matches. */
const sections = (sought: Sought, text: Aligned): readonly Section[] => {
  const found: Section[] = []
  let done = 0
  for (let i = 0; i < text.length;) {
    const at = i
    const match = sought
      .get(text[at]!.text)
      ?.find(({ characters }) => characters.every((character, j) => text[at + j]?.text === character))
    if (match === undefined) {
      i++
      continue
    }
    const { token, characters } = match
    let from = at
    let to = at + characters.length
    i = to
    const isWord = (place: number): boolean => text[place] !== undefined && inWord(text[place].text)
    if (token.single_word && (isWord(from - 1) || isWord(to))) continue
    if (token.lstrip) while (from > done && isSpace(text[from - 1]!.text)) from--
    if (token.rstrip) while (to < text.length && isSpace(text[to]!.text)) to++
    if (done < from) found.push({ text: text.slice(done, from) })
    found.push({ text: text.slice(from, to), token })
    done = to
  }
  return done < text.length ? [...found, { text: text.slice(done) }] : found
}

/**
 * Cuts texts as `tokenizers` does: at the added tokens of the text itself, then, in each normalized stretch between
 * them, at those that are normalized too. Throws a refusal if two tokens cannot be told apart.
 */
export const sectioner = (
  subject: string,
  tokens: readonly AddedToken[],
  normalize: Normalizer,
): ((text: Aligned) => readonly Section[]) => {
  const written = soughtOf(
    subject,
    tokens.filter(token => !token.normalized).map(token => [token.content, token]),
  )
  const normalized = soughtOf(
    subject,
    tokens.filter(token => token.normalized).map(token => [textOf(normalize(aligned(token.content))), token]),
  )
  return text =>
    sections(written, text).flatMap(section =>
      section.token === undefined ? sections(normalized, normalize(section.text)) : [section],
    )
}

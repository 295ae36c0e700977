/**
 * The pipeline of a tokenizer.json: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder. A
 * component or an option that is not known to behave as in `tokenizers` 0.23 is refused by name; test/golden/tokenizer
 * holds that library's results.
 */
import { refusal, isRecord, quoted } from '../../text/index.ts'
import { addedToken, sectioner, type AddedToken, type NamedToken } from './added.ts'
import { aligned, extentOf, textOf, type Aligned, type Offsets } from './aligned.ts'
import { decoderOf, type Decoder } from './decoder.ts'
import { modelOf, type Model } from './model.ts'
import { normalizerOf, type Normalizer } from './normalizer.ts'
import { postProcessorOf, type Around } from './post-processor.ts'
import { preTokenizerOf, type PreTokenizer } from './pre-tokenizer.ts'
import { trimmer } from './trim.ts'

/**
 * Token ids, and the place of each: `text.slice(start, end)`. Tokens that are put around a whole text have the place
 * [0, 0].
 */
export interface Encoding {
  readonly ids: readonly number[]
  readonly offsets: readonly Offsets[]
}

interface Placed {
  readonly id: number
  readonly token: string
  readonly offsets: Offsets
}
const nowhere: Offsets = [0, 0]

export interface Pipeline {
  /** Token ids of a text and their places; `special` adds the tokens around a whole text. */
  readonly encode: (text: string, options: { readonly special: boolean }) => Encoding
  /** The text of ids; ids without a token are skipped. */
  readonly decode: (ids: readonly number[], options: { readonly special: boolean }) => string
  readonly idOf: (token: string) => number | undefined
  readonly tokenOf: (id: number) => string | undefined
  readonly added: readonly AddedToken[]
  /** One more than the greatest id. */
  readonly size: number
}

/**
 * The fields of the file itself. Truncation and padding are settings of a call, which transformers resets; rows here
 * have lengths of their own.
 */
const known = new Set([
  'version',
  'truncation',
  'padding',
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'model',
])

const greatestOf = (ids: Iterable<number>): number => {
  let greatest = -1
  for (const id of ids) greatest = Math.max(greatest, id)
  return greatest
}

/**
 * Added tokens as the library numbers them: by the vocabulary, or after it in their order. Any other id is refused,
 * because the library would not keep it.
 */
const numbered = (subject: string, tokens: readonly NamedToken[], { ids }: Model): readonly AddedToken[] => {
  const byContent = new Map<string, AddedToken>()
  const greatest = greatestOf(ids.values())
  let next = ids.size
  for (const token of tokens) {
    const known = byContent.get(token.content)?.id ?? ids.get(token.content)
    const id = known ?? next++
    if (token.id !== undefined && id !== token.id) {
      throw refusal(
        `${subject}: the added token ${quoted(token.content)} has the id ${token.id}, but tokenizers gives it ${id}, ` +
          (known === undefined ? 'the next behind the vocabulary' : 'which it has already'),
      )
    }
    if (known === undefined && id <= greatest) {
      throw refusal(
        `${subject}: the added token ${quoted(token.content)} would get the id ${id} behind ${ids.size} tokens, ` +
          'but ids of the vocabulary are greater: it has holes',
      )
    }
    byContent.set(token.content, { ...token, id })
  }
  return [...byContent.values()]
}

/**
 * Builds the pipeline that a tokenizer.json describes; `more` are the tokens that other files add. Throws a refusal
 * that names the file, the component and the field.
 */
export const pipelineOf = (subject: string, json: unknown, more: readonly NamedToken[] = []): Pipeline => {
  if (!isRecord(json)) throw refusal(`${subject}: expected a JSON object`)
  const unknown = Object.keys(json).find(name => !known.has(name))
  if (unknown !== undefined)
    throw refusal(`${subject}: this tokenizer is not supported: it has the field ${quoted(unknown)}`)
  const version = json['version'] ?? '1.0'
  if (version !== '1.0')
    throw refusal(`${subject}: this tokenizer is not supported: its version is ${quoted(version)}, not "1.0"`)
  const part = <A>(name: string, make: (subject: string, path: string, value: unknown) => A, otherwise: A): A =>
    json[name] === undefined || json[name] === null ? otherwise : make(subject, name, json[name])
  const model = modelOf(subject, json['model'])
  const normalize = part<Normalizer>('normalizer', normalizerOf, text => text)
  const preTokenize = part<PreTokenizer>('pre_tokenizer', preTokenizerOf, text => [text])
  const decode = part<Decoder>('decoder', decoderOf, tokens => [tokens.join(' ')])
  const around = part<Around>('post_processor', postProcessorOf, { before: [], after: [] })
  const trim = trimmer(json['post_processor'])

  const listed: unknown = json['added_tokens'] ?? []
  if (!Array.isArray(listed)) throw refusal(`${subject}: added_tokens must be a list`)
  const own = listed.map((token, i) => addedToken(subject, `added_tokens[${i}]`, token))
  const added = numbered(subject, [...own, ...more], model)
  const cut = sectioner(subject, added, normalize)
  const addedById = new Map(added.map(token => [token.id, token]))
  const addedByContent = new Map(added.map(token => [token.content, token]))
  const tokenOf = (id: number): string | undefined => addedById.get(id)?.content ?? model.tokens.get(id)
  const missing = [...around.before, ...around.after].find(id => tokenOf(id) === undefined)
  if (missing !== undefined) throw refusal(`${subject}: post_processor: the id ${missing} belongs to no token`)
  // as the library decodes it: in its normalized form, which the decoder reverses
  const shown = new Map(
    added.map(token => [token.id, token.normalized ? textOf(normalize(aligned(token.content))) : token.content]),
  )
  const special = new Set(added.filter(token => token.special).map(token => token.content))

  const placed = (word: Aligned): readonly Placed[] =>
    model.encode(textOf(word)).map(({ id, from, to }) => ({
      id,
      token: model.tokens.get(id) ?? '',
      offsets: [word[from]!.start, word[to - 1]!.end],
    }))
  const inside = (text: Aligned): readonly Placed[] =>
    cut(text).flatMap((section): readonly Placed[] =>
      section.token === undefined
        ? preTokenize(section.text).flatMap(placed)
        : [{ id: section.token.id, token: textOf(section.text), offsets: extentOf(section.text) ?? nowhere }],
    )
  const wrapped = (ids: readonly number[], offsets: readonly Offsets[], isWhole: boolean): Encoding =>
    isWhole
      ? {
          ids: [...around.before, ...ids, ...around.after],
          offsets: [...around.before.map(() => nowhere), ...offsets, ...around.after.map(() => nowhere)],
        }
      : { ids, offsets }
  return {
    encode: (text, { special }) => {
      const half = text.search(/\p{Surrogate}/u)
      if (half >= 0) throw refusal(`a text holds half a character, ${quoted(text[half])}, behind ${half} others`)
      const characters = aligned(text)
      const units = [0]
      for (const character of characters) units.push(units.at(-1)! + character.text.length)
      const tokens = trim(inside(characters))
      return wrapped(
        tokens.map(({ id }) => id),
        tokens.map(({ offsets: [start, end] }) => [units[start]!, units[end]!]),
        special,
      )
    },
    decode: (ids, options) =>
      decode(
        ids
          .flatMap(id => shown.get(id) ?? model.tokens.get(id) ?? [])
          .filter(token => options.special || !special.has(token)),
      ).join(''),
    idOf: token => addedByContent.get(token)?.id ?? model.ids.get(token),
    tokenOf,
    added,
    size: Math.max(greatestOf(model.tokens.keys()), greatestOf(addedById.keys())) + 1,
  }
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { chatTemplate, type ChatTemplate } from './chat.ts'
import { attempt, attemptSync, ioError, reasonOf, type IoError } from './error.ts'
import { isRecord } from './file.ts'
import { encoderOf, type Encoding, type Library } from './offsets/encode.ts'
import { ggufTokenizer, type TokenizerDescription } from './tokenizer-gguf.ts'

/** Text to token ids and back. */
export interface Tokenizer {
  /** Token ids of a text. `special` (the default) adds what the tokenizer wraps around a whole sequence, a leading `bos` for instance. */
  readonly encode: (text: string, options?: { readonly special?: boolean }) => readonly number[]
  /** The same, with where each token stands: `text.slice(start, end)`. Errors: a text whose tokens cannot be told from it. */
  readonly encodeWithOffsets: (text: string, options?: { readonly special?: boolean }) => E.Either<IoError, Encoding>
  /** The text of token ids, special tokens included unless `special` is false; an incomplete character becomes U+FFFD. */
  readonly decode: (ids: readonly number[], options?: { readonly special?: boolean }) => string
  readonly bos: number | undefined
  readonly eos: number | undefined
  /** Every id that ends a generated text. */
  readonly stop: ReadonlySet<number>
  readonly vocabSize: number
  readonly chat: ChatTemplate | undefined
}

type Json = Readonly<Record<string, unknown>>

/**
 * `Digits` splits at every numeric character (Unicode N), but `@huggingface/tokenizers` 0.2 splits at 0-9 alone;
 * this says the same with a `Split`, so that `½` or `٣` get the ids that they were trained with.
 */
const withUnicodeDigits = (preTokenizer: unknown): unknown => {
  if (!isRecord(preTokenizer)) return preTokenizer
  if (preTokenizer['type'] === 'Digits') {
    const Regex = preTokenizer['individual_digits'] === true ? '\\p{N}' : '\\p{N}+'
    return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }
  }
  const inner = preTokenizer['pretokenizers']
  return Array.isArray(inner) ? { ...preTokenizer, pretokenizers: inner.map(withUnicodeDigits) } : preTokenizer
}

/**
 * Builds a tokenizer from its description. Errors: a kind of tokenizer that is not supported, a chat template that does not parse.
 * @example makeTokenizer({ subject: 'tokenizer.json', tokenizer, bosToken: undefined, eosToken: '</s>', stop: [], chatSource: undefined })
 */
export const makeTokenizer = (description: TokenizerDescription): E.Either<IoError, Tokenizer> => {
  const { subject, tokenizer: json, bosToken, eosToken, stop, chatSource } = description
  const tokens = { bosToken, eosToken }
  const built = E.tryCatch(
    () => {
      const inner: HuggingFaceTokenizer & Library = new HuggingFaceTokenizer(
        { added_tokens: [], ...json, pre_tokenizer: withUnicodeDigits(json['pre_tokenizer']) },
        { bos_token: bosToken, eos_token: eosToken, clean_up_tokenization_spaces: false }
      )
      const encoder = encoderOf(json, inner, [...inner.get_added_tokens_decoder().values()].map(({ single_word, ...token }) => ({ ...token, singleWord: single_word })))
      encoder.ids('a', { special: true })
      return { inner, encoder }
    },
    error => ioError(`${subject}: this tokenizer is not supported: ${reasonOf(error)}`)
  )
  if (E.isLeft(built)) return built
  const { inner, encoder } = built.right
  const idOf = (token: string | undefined): number | undefined => token === undefined ? undefined : inner.token_to_id(token)
  const added = [...inner.get_added_tokens_decoder().values()]
  const special = new Set(added.filter(token => token.special).map(token => token.id))
  const chat: E.Either<IoError, ChatTemplate | undefined> = chatSource === undefined
    ? E.right(undefined)
    : chatTemplate(subject, chatSource, { ...tokens, specialTokens: added.map(token => token.content).filter(token => token !== '') })
  const eos = idOf(eosToken)
  return pipe(chat, E.map((chat): Tokenizer => ({
    encode: (text, { special = true } = {}) => encoder.ids(text, { special }),
    encodeWithOffsets: (text, { special = true } = {}) => E.tryCatch(
      () => encoder.place(text, { special }),
      error => ioError(`${subject}: the tokens of a text cannot be told from it: ${reasonOf(error)}`)
    ),
    decode: (ids, options = {}) => {
      const known = ids.filter(id => inner.id_to_token(id) !== undefined && !(options.special === false && special.has(id)))
      return known.length === 0 ? '' : inner.decode(known)
    },
    bos: idOf(bosToken),
    eos,
    stop: new Set(eos === undefined ? stop : [eos, ...stop]),
    vocabSize: inner.model?.vocab.length ?? 0,
    chat
  })))
}

/** What has been decoded and not yet handed out: a window of ids whose first `sent` characters the reader already has. */
export interface DecodeState {
  readonly window: readonly number[]
  readonly sent: number
}

/**
 * The state after ids whose text the reader has, a prompt for instance. The last whole character stays in the window, because decoders
 * treat the first token of a text differently: SentencePiece's drops its space.
 * @example decodeAfter(tokenizer, tokenizer.encode('Once'))
 */
export const decodeAfter = (tokenizer: Pick<Tokenizer, 'decode'>, ids: readonly number[]): DecodeState => {
  const isWhole = (window: readonly number[]): boolean => !tokenizer.decode(window).includes('\uFFFD')
  // A character has at most four bytes, and each may be a token.
  const size = [1, 2, 3, 4].find(n => n <= ids.length && isWhole(ids.slice(-n)))
  const window = size === undefined ? ids : ids.slice(-size)
  return { window, sent: tokenizer.decode(window).length }
}

/** Nothing decoded yet. */
export const decodeStart: DecodeState = { window: [], sent: 0 }

/**
 * The text that one more token completes. A character whose bytes lie in several tokens is held back until it is whole.
 * @example const { text, state } = decodeNext(tokenizer, decodeStart, 504)
 */
export const decodeNext = (tokenizer: Pick<Tokenizer, 'decode'>, { window, sent }: DecodeState, id: number)
  : { readonly text: string, readonly state: DecodeState } => {
  const ids = [...window, id]
  const decoded = tokenizer.decode(ids)
  if (decoded.endsWith('\uFFFD')) {
    const whole = Math.max(sent, decoded.length - 1)
    return { text: decoded.slice(sent, whole), state: { window: ids, sent: whole } }
  }
  return { text: decoded.slice(sent), state: decodeAfter(tokenizer, ids) }
}

/** The text that is still held back when generation ends. @example write(decodeRest(tokenizer, state)) */
export const decodeRest = (tokenizer: Pick<Tokenizer, 'decode'>, { window, sent }: DecodeState): string => tokenizer.decode(window).slice(sent)

/** The text of a file, or undefined where it does not exist. */
const readOptional = (path: string): TE.TaskEither<IoError, string | undefined> => attempt(path, () =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  }))

/** The JSON object in a file, or undefined where it does not exist. */
const readJson = (path: string): TE.TaskEither<IoError, Json | undefined> => pipe(
  readOptional(path),
  TE.flatMapEither(text => attemptSync(path, () => {
    const value: unknown = text === undefined ? undefined : JSON.parse(text)
    if (value !== undefined && !isRecord(value)) throw new Error('a JSON object is due')
    return value
  }))
)

/** A token in tokenizer_config.json: its text, or an object that holds it. */
const tokenText = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : isRecord(value) && typeof value['content'] === 'string' ? value['content'] : undefined

/** A chat template in tokenizer_config.json: its text, or a list of named ones, of which `default` is meant. */
const templateText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const named = value.find(entry => isRecord(entry) && entry['name'] === 'default')
  return isRecord(named) ? templateText(named['template']) : undefined
}

const numbers = (value: unknown): readonly number[] => [value].flat().filter(item => typeof item === 'number')

/** The tokenizer of a Hugging Face directory, or undefined where it has no tokenizer.json. */
const fromDirectory = (directory: string): TE.TaskEither<IoError, Tokenizer | undefined> => pipe(
  TE.Do,
  TE.bind('tokenizer', () => readJson(join(directory, 'tokenizer.json'))),
  TE.bind('config', () => readJson(join(directory, 'tokenizer_config.json'))),
  TE.bind('generation', () => readJson(join(directory, 'generation_config.json'))),
  TE.bind('jinja', () => readOptional(join(directory, 'chat_template.jinja'))),
  TE.flatMapEither(({ tokenizer, config, generation, jinja }) => tokenizer === undefined ? E.right(undefined) : makeTokenizer({
    subject: join(directory, 'tokenizer.json'),
    tokenizer,
    bosToken: tokenText(config?.['bos_token']),
    eosToken: tokenText(config?.['eos_token']),
    stop: numbers(generation?.['eos_token_id']),
    chatSource: jinja ?? templateText(config?.['chat_template'])
  }))
)

/** Where a tokenizer is: in a Hugging Face directory, or in the metadata of a GGUF file. A `Checkpoint` is one. */
export interface TokenizerSource {
  readonly kind: 'huggingface' | 'gguf'
  readonly path: string
  readonly metadata?: ReadonlyMap<string, unknown>
}

/**
 * Loads the tokenizer of a model: tokenizer.json, tokenizer_config.json, generation_config.json and chat_template.jinja of a
 * Hugging Face directory, or the `tokenizer.*` metadata of a GGUF file. The result is undefined where the model has none.
 * Errors: broken files, kinds of tokenizers that are not supported.
 * @example await loadTokenizer({ kind: 'huggingface', path: 'SmolLM2-135M-Instruct' })()
 */
export const loadTokenizer = ({ kind, path, metadata = new Map() }: TokenizerSource): TE.TaskEither<IoError, Tokenizer | undefined> =>
  kind === 'huggingface' ? fromDirectory(path) : TE.fromEither(pipe(
    ggufTokenizer(path, metadata),
    E.flatMap((description): E.Either<IoError, Tokenizer | undefined> => description === undefined ? E.right(undefined) : makeTokenizer(description))
  ))

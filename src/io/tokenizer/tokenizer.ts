import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { chatTemplate, type ChatTemplate } from '../chat/chat.ts'
import { attemptSync, type IoError } from '../../text/index.ts'
import { describeDirectory } from './directory.ts'
import { pipelineOf, type Encoding } from './pipeline.ts'
import { ggufTokenizer, type TokenizerDescription } from './gguf.ts'

/** Converts text to token ids and back. */
export interface Tokenizer {
  /**
   * Token ids of a text. `special` (the default) adds the tokens that the tokenizer puts around a whole sequence, such
   * as a leading `bos`. Throws a refusal if an expression of the tokenizer takes too long on the text.
   */
  readonly encode: (text: string, options?: { readonly special?: boolean }) => readonly number[]
  /** The same, with the place of each token: `text.slice(start, end)`. Errors: a text that takes too long. */
  readonly encodeWithOffsets: (text: string, options?: { readonly special?: boolean }) => E.Either<IoError, Encoding>
  /**
   * The text of token ids, special tokens included unless `special` is false; an incomplete character becomes U+FFFD.
   */
  readonly decode: (ids: readonly number[], options?: { readonly special?: boolean }) => string
  readonly bos: number | undefined
  readonly eos: number | undefined
  /** Every id that ends a generated text. */
  readonly stop: ReadonlySet<number>
  readonly vocabSize: number
  readonly chat: ChatTemplate | undefined
}

/**
 * Builds a tokenizer from its description. Errors: a component or an option of a tokenizer that is not supported,
 * invalid ids, a chat template that does not parse.
 * @example makeTokenizer(description)
 */
export const makeTokenizer = (description: TokenizerDescription): E.Either<IoError, Tokenizer> => {
  const { subject, tokenizer: json, moreTokens = [], bosIds = [], stop, chatSource } = description
  return pipe(
    attemptSync(`${subject}: this tokenizer is not supported`, () => pipelineOf(subject, json, moreTokens)),
    E.flatMap(pipeline => {
      const { added, idOf, tokenOf } = pipeline
      // if no file names the token, the first id that they name gives it
      const named = (token: string | undefined, [id]: readonly number[]): string | undefined =>
        token ?? (id === undefined ? undefined : tokenOf(id))
      const bosToken = named(description.bosToken, bosIds)
      const eosToken = named(description.eosToken, stop)
      const eos = eosToken === undefined ? undefined : idOf(eosToken)
      const chat: E.Either<IoError, ChatTemplate | undefined> =
        chatSource === undefined
          ? E.right(undefined)
          : chatTemplate(
              subject,
              chatSource,
              {
                // as in transformers, a token that is only given by its id is not a variable of a template
                bosToken: description.bosToken,
                eosToken: description.eosToken,
                named: description.namedTokens,
                specialTokens: added.map(token => token.content),
              },
              description.toolChatSource,
            )
      return pipe(
        chat,
        E.map((chat): Tokenizer => ({
          encode: (text, { special = true } = {}) => pipeline.encode(text, { special }).ids,
          encodeWithOffsets: (text, { special = true } = {}) =>
            attemptSync(subject, () => pipeline.encode(text, { special })),
          decode: (ids, { special = true } = {}) => pipeline.decode(ids, { special }),
          bos: bosToken === undefined ? undefined : idOf(bosToken),
          eos,
          stop: new Set(eos === undefined ? stop : [eos, ...stop]),
          vocabSize: pipeline.size,
          chat,
        })),
      )
    }),
  )
}

/**
 * The decoded text that has not been handed out yet: a window of ids whose first `sent` characters the reader already
 * has.
 */
export interface DecodeState {
  readonly window: readonly number[]
  readonly sent: number
}

/**
 * The state after ids whose text the reader has, such as a prompt. The last whole character stays in the window,
 * because decoders treat the first token of a text differently: SentencePiece's drops its space.
 * @example decodeAfter(tokenizer, tokenizer.encode('Once'))
 */
export const decodeAfter = (tokenizer: Pick<Tokenizer, 'decode'>, ids: readonly number[]): DecodeState => {
  const isWhole = (window: readonly number[]): boolean => !tokenizer.decode(window).includes('\uFFFD')
  // a character has at most four bytes, and each may be a token
  const size = [1, 2, 3, 4].find(n => n <= ids.length && isWhole(ids.slice(-n)))
  const window = size === undefined ? ids : ids.slice(-size)
  return { window, sent: tokenizer.decode(window).length }
}

/** The state before anything is decoded. */
export const decodeStart: DecodeState = { window: [], sent: 0 }

/**
 * The text that one more token completes. A character whose bytes are spread over several tokens is held back until it
 * is complete.
 * @example const { text, state } = decodeNext(tokenizer, decodeStart, 504)
 */
export const decodeNext = (
  tokenizer: Pick<Tokenizer, 'decode'>,
  { window, sent }: DecodeState,
  id: number,
): { readonly text: string; readonly state: DecodeState } => {
  const ids = [...window, id]
  const decoded = tokenizer.decode(ids)
  if (decoded.endsWith('\uFFFD')) {
    // a decoder may write one such character for each byte of an incomplete run
    const whole = Math.max(sent, decoded.replace(/\uFFFD+$/, '').length)
    return { text: decoded.slice(sent, whole), state: { window: ids, sent: whole } }
  }
  return { text: decoded.slice(sent), state: decodeAfter(tokenizer, ids) }
}

/** The text that is still held back when generation ends. @example write(decodeRest(tokenizer, state)) */
export const decodeRest = (tokenizer: Pick<Tokenizer, 'decode'>, { window, sent }: DecodeState): string =>
  tokenizer.decode(window).slice(sent)

/** The place of a tokenizer: a Hugging Face directory, or the metadata of a GGUF file. A `Checkpoint` is one. */
export interface TokenizerSource {
  readonly kind: 'huggingface' | 'gguf'
  readonly path: string
  readonly metadata?: ReadonlyMap<string, unknown>
}

/**
 * Loads the tokenizer of a model: tokenizer.json of a Hugging Face directory and the files next to it, or the
 * `tokenizer.*` metadata of a GGUF file. The result is undefined if the model has none. Errors: broken files, kinds of
 * tokenizers that are not supported.
 * @example await loadTokenizer({ kind: 'huggingface', path: 'SmolLM2-135M-Instruct' })()
 */
export const loadTokenizer = ({
  kind,
  path,
  metadata = new Map(),
}: TokenizerSource): TE.TaskEither<IoError, Tokenizer | undefined> =>
  pipe(
    kind === 'huggingface' ? describeDirectory(path) : TE.fromEither(ggufTokenizer(path, metadata)),
    TE.flatMapEither((description): E.Either<IoError, Tokenizer | undefined> =>
      description === undefined ? E.right(undefined) : makeTokenizer(description),
    ),
  )

import { atOnce, unhurried, type StopSignal } from '../../backend/index.ts'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { chatSpans, type ChatOptions, type Message } from '../chat/chat.ts'
import { conversationOf } from '../chat/conversation.ts'
import { readText } from '../../host/index.ts'
import { attempt, attemptSync, fail, ioError, type IoError, isRecord, parsedJson } from '../../text/index.ts'
import { parseData } from '../jinja/data.ts'
import type { Encoding } from '../tokenizer/pipeline.ts'

import type { Tokenizer } from '../tokenizer/tokenizer.ts'

/** The label of a position that is not scored, as in Hugging Face data sets. */
export const notScored = -100

/**
 * One sequence. `labels[i]` is `input_ids[i]` or -100; the loss shifts:
 * `labels[i]` is predicted from `input_ids[..i - 1]`.
 */
export interface Row {
  readonly input_ids: Int32Array
  readonly labels: Int32Array
}

/**
 * Rows to train on or to evaluate, and what was changed: the number of rows that were cut, and of rows that were left
 * out because nothing in them is scored.
 */
export interface Rows {
  readonly rows: readonly Row[]
  readonly warnings: { readonly cut: number; readonly unscored: number }
}

/** The options for making rows from a file. */
export interface RowOptions {
  /** The tokenizer, which text needs and rows of `input_ids` do not. */
  readonly tokenizer?: Tokenizer | undefined
  /**
   * Ids must be smaller than this (default: the tokenizer's size). A model's embedding may be larger or smaller than
   * its tokenizer.
   */
  readonly vocabSize?: number | undefined
  /** Rows are cut to this many tokens. */
  readonly seq?: number | undefined
  /** Ends `readRows` with an error for the interrupt. */
  readonly signal?: StopSignal | undefined
}

/** Token ids with their labels, as lists. */
interface Tokens {
  readonly ids: readonly number[]
  readonly labels: readonly number[]
}

/** The number of positions whose label enters the loss; the first position has no predecessor that could predict it. */
export const scoredCount = ({ labels }: Row): number =>
  labels.reduce((n, label, i) => (i > 0 && label !== notScored ? n + 1 : n), 0)

/** A part of a text; `text.slice(start, end)`. */
interface Extent {
  readonly start: number
  readonly end: number
}

/**
 * Encodes a whole text and scores a token if any of it lies in a scored part, as `transformers` does for its mask of
 * the assistant's tokens. Parts must not be encoded one by one, because tokenizers treat the beginning of a text
 * differently, and merge across parts.
 */
const scoreWithin =
  (extents: readonly Extent[]) =>
  ({ ids, offsets }: Encoding): Tokens => {
    let next = 0
    const labels = ids.map((id, i) => {
      const [start, end] = offsets[i]!
      while (next < extents.length && start >= extents[next]!.end) next++
      return end > (extents[next]?.start ?? Infinity) ? id : notScored
    })
    return { ids, labels }
  }

/**
 * Encodes the prompt and its completion as one text, as TRL does; a token that spans the boundary is scored. The row
 * ends with one end-of-sequence token: the completion's own, the one that the tokenizer adds, or one that is appended.
 */
const fromCompletion = (tokenizer: Tokenizer, prompt: string, completion: string): E.Either<IoError, Tokens> => {
  const { eos } = tokenizer
  if (eos === undefined) return fail('a completion ends with the end-of-sequence token, but the tokenizer names none')
  return pipe(
    tokenizer.encodeWithOffsets(prompt + completion),
    E.map(encoding => {
      const { ids, labels } = scoreWithin([{ start: prompt.length, end: Infinity }])(encoding)
      // the tokens that a post-processor puts around a sequence have no place in it
      const [, end] = encoding.offsets.at(-1) ?? [0, 0]
      const ended = ids.at(-1) === eos && (end === 0 || end > prompt.length)
      return ended ? { ids, labels: [...labels.slice(0, -1), eos] } : { ids: [...ids, eos], labels: [...labels, eos] }
    }),
  )
}

/**
 * Token ids and labels of a conversation: the text that the template marks as generated is scored, or else the
 * assistant's words and the token that ends its turn. Errors: a tokenizer without a chat template; those of
 * `chatSpans`.
 * @example encodeChat(tokenizer, [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello' }])
 */
export const encodeChat = (
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: ChatOptions = {},
): E.Either<IoError, Row> =>
  pipe(
    fromMessages(tokenizer, messages, options),
    E.map(tokens => toRow(tokens)),
  )

const fromMessages = (
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: ChatOptions,
): E.Either<IoError, Tokens> =>
  tokenizer.chat === undefined
    ? fail('"messages" need a chat template, and the model has none')
    : pipe(
        chatSpans(tokenizer.chat, messages, options),
        E.flatMap(spans => {
          let end = 0
          const extents = spans
            .map(({ text, scored }) => ({ scored, start: end, end: (end += text.length) }))
            .filter(({ scored }) => scored)
          const whole = spans.map(({ text }) => text).join('')
          return pipe(tokenizer.encodeWithOffsets(whole, { special: false }), E.map(scoreWithin(extents)))
        }),
      )

/** A list of whole numbers that fit 32 bits, or undefined. */
const integers = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.every(item => Number.isInteger(item) && Math.abs(item) < 2 ** 31) ? value : undefined

const fromIds = (row: Readonly<Record<string, unknown>>): E.Either<IoError, Tokens> => {
  const ids = integers(row['input_ids'])
  if (ids === undefined) return fail('"input_ids" must be a list of integers')
  const labels = row['labels'] === undefined || row['labels'] === null ? ids : integers(row['labels'])
  if (labels?.length !== ids.length)
    return fail(`"labels" must be a list of ${ids.length} integers, as many as "input_ids"`)
  if (row['attention_mask'] === undefined || row['attention_mask'] === null) return E.right({ ids, labels })
  const mask = integers(row['attention_mask'])
  if (mask?.length !== ids.length || mask.some(bit => bit !== 0 && bit !== 1)) {
    return fail(`"attention_mask" must be a list of ${ids.length} zeros and ones, as many as "input_ids"`)
  }
  const length = mask.lastIndexOf(1) + 1
  const hole = mask.indexOf(0)
  if (hole >= 0 && hole < length)
    return fail(`"attention_mask" may only mark padding at the end, but position ${hole} is 0 and a later one is 1`)
  return E.right({ ids: ids.slice(0, length), labels: labels.slice(0, length) })
}

const kinds = '"text", "prompt" and "completion", "messages", or "input_ids"'

/** One parsed line; errors name neither file nor line. */
const fromLine = (row: unknown, tokenizer: Tokenizer | undefined): E.Either<IoError, Tokens> => {
  if (!isRecord(row)) return fail(`expected a JSON object with ${kinds}`)
  // null counts as absent
  const [ids, messages, prompt, completion, text] = ['input_ids', 'messages', 'prompt', 'completion', 'text'].map(
    name => row[name] ?? undefined,
  )
  if (ids !== undefined) return fromIds(row)
  if (messages === undefined && prompt === undefined && completion === undefined && text === undefined)
    return fail(`it has none of ${kinds}`)
  if (tokenizer === undefined) return fail('text needs a tokenizer, and the model has none; give "input_ids" instead')
  if (messages !== undefined) {
    return pipe(
      conversationOf(row),
      E.flatMap(found => fromMessages(tokenizer, found.messages, found.options)),
    )
  }
  if (prompt !== undefined || completion !== undefined) {
    return typeof prompt === 'string' && typeof completion === 'string'
      ? fromCompletion(tokenizer, prompt, completion)
      : fail('"prompt" and "completion" must both be strings')
  }
  if (typeof text !== 'string') return fail('"text" must be a string')
  const own = tokenizer.encode(text)
  return E.right({ ids: own, labels: own })
}

/** A row of the first tokens; labels that are the ids share their array, as a data set of short rows is mostly arrays. */
const toRow = ({ ids, labels }: Tokens, seq?: number): Row => {
  const input = Int32Array.from(ids.slice(0, seq))
  return { input_ids: input, labels: labels === ids ? input : Int32Array.from(labels.slice(0, seq)) }
}

/** The lines of a text with their numbers from 1, one by one: a list of them takes more memory than the text. */
function* linesOf(text: string): Generator<readonly [number: number, line: string]> {
  for (let number = 1, start = 0; start <= text.length; number++) {
    const end = text.indexOf('\n', start)
    yield [number, text.slice(start, end < 0 ? text.length : end)]
    start = end < 0 ? text.length + 1 : end + 1
  }
}

const withinVocabulary = ({ ids, labels }: Tokens, vocabSize: number): E.Either<IoError, void> => {
  const outside = (id: number): boolean => id < 0 || id >= vocabSize
  const id = ids.find(outside) ?? labels.find(label => label !== notScored && outside(label))
  return id === undefined
    ? E.right(undefined)
    : fail(`token id ${id} is outside the vocabulary, which has ${vocabSize} tokens`)
}

/** Makes the rows of a text one by one, so that the caller can pause between two. */
function* parsing(
  name: string,
  content: string,
  { tokenizer, vocabSize = tokenizer?.vocabSize, seq }: RowOptions,
): Generator<undefined, E.Either<IoError, Rows>> {
  const rows: Row[] = []
  let [cut, unscored, total] = [0, 0, 0]
  for (const [number, line] of linesOf(content.replace(/^\uFEFF/, ''))) {
    if (line.trim() === '') continue
    yield undefined
    total++
    const at = `${name} line ${number}`
    const tokens = pipe(
      attemptSync(at, (): unknown => {
        const value = parsedJson(at, line)
        // a template prints numbers and keys as they are written
        return isRecord(value) && Array.isArray(value['messages']) ? parseData(line) : value
      }),
      E.flatMap(value =>
        pipe(
          // a tokenizer refuses a text on which one of its expressions takes too long
          E.flatten(attemptSync('it cannot be encoded', () => fromLine(value, tokenizer))),
          E.tap(tokens => withinVocabulary(tokens, vocabSize ?? 2 ** 31)),
          E.mapLeft(({ message }) => ioError(`${at}: ${message}`)),
        ),
      ),
    )
    if (E.isLeft(tokens)) return tokens
    const { ids, labels } = tokens.right
    const row = toRow({ ids, labels }, seq)
    if (row.input_ids.length < ids.length) cut++
    if (scoredCount(row) === 0) unscored++
    else rows.push(row)
  }
  if (total === 0) return fail(`${name}: the file is empty`)
  if (rows.length === 0) {
    const shortened = cut > 0 ? `, ${cut} of them cut to ${seq} tokens` : ''
    return fail(`${name}: no token in it is scored (${total} ${total === 1 ? 'row' : 'rows'}${shortened})`)
  }
  return E.right({ rows, warnings: { cut, unscored } })
}

/**
 * Rows from the text of a JSON-lines file; `name` begins every error message. See `readRows`.
 * @example parseRows('data.jsonl', '{"input_ids": [1, 2, 3]}\n', { vocabSize: 320 })
 */
export const parseRows = (name: string, content: string, options: RowOptions): E.Either<IoError, Rows> =>
  atOnce(parsing(name, content, options))

/**
 * Reads a data set: one JSON object per line; blank lines are skipped.
 * - `{"text"}`: every token is scored, exactly as the tokenizer encodes it.
 * - `{"prompt", "completion"}`: the completion is scored; it ends with the end-of-sequence token.
 * - `{"messages", "tools"?, "documents"?, "chat_template_kwargs"?}`: rendered with the chat template; the text that it
 *   marks with `{% generation %}` is scored, or else the assistant's words and the token that ends its turn.
 * - `{"input_ids", "labels"?, "attention_mask"?}`: labels default to the ids, -100 is not scored; the mask marks
 *   trailing padding, which is dropped.
 *
 * Errors name the file and the line: bytes that are not UTF-8, broken JSON, a wrong type, an id outside the vocabulary;
 * and an empty file, or one with nothing scored.
 * @example await readRows('data.jsonl', { tokenizer, vocabSize: 49152, seq: 256 })()
 */
export const readRows = (path: string, options: RowOptions): TE.TaskEither<IoError, Rows> =>
  pipe(
    readText(path),
    TE.flatMap(content => attempt(path, () => unhurried(parsing(path, content, options), options.signal))),
    TE.flatMapEither(rows => rows),
  )

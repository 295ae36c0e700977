import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError, quoted } from '../../text/index.ts'
import type { NamedToken } from './added.ts'
import { llama3Words } from './pattern.ts'

/** A tokenizer in the form of Hugging Face's two files, with its additions. */
export interface TokenizerDescription {
  /** The file name that error messages begin with. */
  readonly subject: string
  /** The content of tokenizer.json. */
  readonly tokenizer: Readonly<Record<string, unknown>>
  /** Tokens that other files add. */
  readonly moreTokens?: readonly NamedToken[]
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
  /** The ids of bos tokens; the first counts if no token is named. */
  readonly bosIds?: readonly number[]
  /** Further ids that end a generated text; the first is the eos token if none is named. */
  readonly stop: readonly number[]
  readonly chatSource: string | undefined
  /** Another template, for conversations with tools. */
  readonly toolChatSource?: string | undefined
  /** Special tokens by the names that a chat template uses, such as `bos_token`. */
  readonly namedTokens?: Readonly<Record<string, string>>
}

/**
 * The rules by which a family of byte-level tokenizers cuts a text into words. GGUF gives only their name
 * (`tokenizer.ggml.pre`).
 */
interface PreTokenization {
  readonly steps: readonly object[]
  /** True if a word that is itself a token is taken whole, without merging. */
  readonly ignoreMerges: boolean
  /** True if a sequence begins with the `bos` token unless the file specifies otherwise. */
  readonly addBos: boolean
}

const split = (Regex: string): object => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })
const byteLevel = (use_regex: boolean): object => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
})

const gpt2: PreTokenization = { steps: [byteLevel(true)], ignoreMerges: false, addBos: false }
const singleDigits: PreTokenization = { steps: [split('\\p{N}'), byteLevel(true)], ignoreMerges: false, addBos: false }
const llama3: PreTokenization = {
  steps: [split(llama3Words('\\p{N}{1,3}')), byteLevel(false)],
  ignoreMerges: true,
  addBos: true,
}
const qwen2: PreTokenization = {
  steps: [split(llama3Words('\\p{N}')), byteLevel(false)],
  ignoreMerges: false,
  addBos: false,
}

const preTokenizations: ReadonlyMap<unknown, PreTokenization> = new Map([
  ['gpt-2', gpt2],
  ['gpt2', gpt2],
  ['smollm', singleDigits],
  ['starcoder', singleDigits],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['qwen2', qwen2],
])

const strings = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined

/** A list of integers, given as an array or a typed array. */
const integers = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
    ? Array.from(value as ArrayLike<unknown>, Number)
    : undefined

/** The kinds of tokens in `tokenizer.ggml.token_type`. */
const control = 3
const userDefined = 4

/** Words, merges and special tokens in the form of tokenizer.json. */
const tokenizerJson = (
  tokens: readonly string[],
  merges: readonly string[],
  types: readonly number[],
  how: PreTokenization,
  around: readonly (readonly string[])[],
): Readonly<Record<string, unknown>> => {
  const special = (token: string): object => ({ SpecialToken: { id: token, type_id: 0 } })
  const [before = [], after = []] = around
  return {
    added_tokens: tokens.flatMap((content, id) =>
      types[id] === control || types[id] === userDefined
        ? [
            {
              id,
              content,
              special: types[id] === control,
              normalized: false,
              lstrip: false,
              rstrip: false,
              single_word: false,
            },
          ]
        : [],
    ),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: how.steps },
    post_processor:
      before.length + after.length === 0
        ? null
        : {
            type: 'TemplateProcessing',
            single: [...before.map(special), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(special)],
            pair: [],
            special_tokens: Object.fromEntries(
              [...before, ...after].map(token => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
            ),
          },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      unk_token: null,
      byte_fallback: false,
      ignore_merges: how.ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  }
}

/** The roles of tokens that metadata names by id. */
const tokenRoles = ['bos', 'eos', 'eot', 'eom'] as const

/** The id in a value: an empty list for 2^32 − 1, which means none; undefined if it is not the id of a token. */
const idOf = (value: unknown, tokens: readonly string[]): readonly number[] | undefined => {
  const id = typeof value === 'bigint' ? Number(value) : value
  if (id === undefined || id === 2 ** 32 - 1) return []
  return typeof id === 'number' && tokens[id] !== undefined ? [id] : undefined
}

/** The first text that occurs twice in a list. */
const repeated = (texts: readonly string[]): string | undefined => {
  const last = new Map(texts.map((text, i) => [text, i]))
  return last.size === texts.length ? undefined : texts.find((text, i) => last.get(text) !== i)
}

/** The names that a chat template uses for special tokens, with the names of their ids in GGUF. */
const roles = [
  ['bos_token', 'bos'],
  ['eos_token', 'eos'],
  ['unk_token', 'unknown'],
  ['sep_token', 'seperator'],
  ['pad_token', 'padding'],
] as const

/**
 * Describes the byte-level BPE tokenizer of a GGUF file, or undefined if it has none. Errors: lists that are missing or
 * do not match, another kind of tokenizer.
 * @example ggufTokenizer('model.gguf', metadata)
 */
export const ggufTokenizer = (
  file: string,
  metadata: ReadonlyMap<string, unknown>,
): E.Either<IoError, TokenizerDescription | undefined> => {
  const entry = (name: string): unknown => metadata.get(`tokenizer.ggml.${name}`)
  if (entry('tokens') === undefined) return E.right(undefined)
  const tokens = strings(entry('tokens'))
  const merges = strings(entry('merges'))
  const types = entry('token_type') === undefined ? [] : integers(entry('token_type'))
  if (entry('model') !== 'gpt2' || merges === undefined) {
    return fail(
      `${file}: only byte-level BPE tokenizers are read from GGUF, this one is "${String(entry('model'))}"; ` +
        'use the Hugging Face directory',
    )
  }
  if (tokens === undefined || types === undefined || (types.length !== 0 && types.length !== tokens.length)) {
    return fail(`${file}: tokenizer.ggml.tokens and tokenizer.ggml.token_type do not fit each other`)
  }
  const how = preTokenizations.get(entry('pre'))
  if (how === undefined) {
    return fail(
      `${file}: unknown tokenizer.ggml.pre "${String(entry('pre'))}"; ` +
        `known are ${[...preTokenizations.keys()].join(', ')}`,
    )
  }
  const twice = repeated(tokens)
  if (twice !== undefined) return fail(`${file}: the token ${quoted(twice)} stands twice in tokenizer.ggml.tokens`)
  const wrong = tokenRoles.find(
    name => entry(`${name}_token_id`) !== undefined && idOf(entry(`${name}_token_id`), tokens) === undefined,
  )
  if (wrong !== undefined) {
    return fail(
      `${file}: tokenizer.ggml.${wrong}_token_id is ${quoted(entry(`${wrong}_token_id`))}, ` +
        `which is none of the ${tokens.length} tokens`,
    )
  }
  const id = (name: (typeof tokenRoles)[number]): readonly number[] => idOf(entry(`${name}_token_id`), tokens) ?? []
  const texts = (name: (typeof tokenRoles)[number]): readonly string[] =>
    id(name).flatMap(number => tokens[number] ?? [])
  const addBos = typeof entry('add_bos_token') === 'boolean' ? entry('add_bos_token') === true : how.addBos
  const chatSource = metadata.get('tokenizer.chat_template')
  const toolChatSource = metadata.get('tokenizer.chat_template.tool_use')
  return E.right({
    subject: file,
    tokenizer: tokenizerJson(tokens, merges, types, how, [
      addBos ? texts('bos') : [],
      entry('add_eos_token') === true ? texts('eos') : [],
    ]),
    bosToken: texts('bos')[0],
    eosToken: texts('eos')[0],
    stop: [...id('eot'), ...id('eom')],
    chatSource: typeof chatSource === 'string' ? chatSource : undefined,
    toolChatSource: typeof toolChatSource === 'string' ? toolChatSource : undefined,
    namedTokens: Object.fromEntries(
      roles.flatMap(
        ([role, name]) => idOf(entry(`${name}_token_id`), tokens)?.map(id => [role, tokens[id] ?? '']) ?? [],
      ),
    ),
  })
}

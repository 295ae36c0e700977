/**
 * The tokenizer of a Hugging Face directory: tokenizer.json and the additions of the files next to it, as transformers
 * 5 reads them. Source: transformers 5.24, tokenization_utils_base.py (`_from_pretrained`) and
 * tokenization_utils_tokenizers.py (`__init__`).
 */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ifThere, readJsonObject, readText } from '../../host/index.ts'
import { attemptSync, refusal, type IoError, isRecord, quoted } from '../../text/index.ts'
import type { TokenizerDescription } from './gguf.ts'
import { addedToken, type NamedToken } from './added.ts'
import { isId } from './fields.ts'

type Json = Readonly<Record<string, unknown>>

/** The size limit of a chat template; usual ones have a few thousand characters. */
const longestTemplate = 10e6
/** The text of a file, or undefined if it does not exist. */
const readOptional = (path: string): TE.TaskEither<IoError, string | undefined> =>
  ifThere(readText(path, longestTemplate))

/** The size limit of a vocabulary with its merges; the largest have some 30 MB. */
const longestJson = 200e6
/** The JSON object in a file, or undefined if it does not exist. */
const readJson = (path: string): TE.TaskEither<IoError, Json | undefined> => ifThere(readJsonObject(path, longestJson))

/** A chat template in tokenizer_config.json: its text, which is the default, or an entry of a list of named ones. */
const templateText = (value: unknown, name: string): string | undefined => {
  if (typeof value === 'string') return name === 'default' ? value : undefined
  if (!Array.isArray(value)) return undefined
  const named = value.find(entry => isRecord(entry) && entry['name'] === name)
  return isRecord(named) ? templateText(named['template'], 'default') : undefined
}

/** The names of the individual special tokens. */
const roles = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const

/** A special token as a file names it: its text, or an object that contains it. */
const namedToken = (file: string, field: string, value: unknown): NamedToken | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return specialToken(value)
  if (!isRecord(value) || typeof value['content'] !== 'string')
    throw refusal(`${file}: ${field} must be a token, not ${quoted(value)}`)
  const { id: _, ...token } = addedToken(file, field, { ...value, special: true, id: 0 })
  return token
}
const specialToken = (content: string): NamedToken => ({
  content,
  special: true,
  normalized: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
})

/** A list of special tokens, or an object of them by role. */
const namedTokens = (file: string, field: string, value: unknown): readonly NamedToken[] =>
  (isRecord(value) ? Object.values(value) : [value].flat()).flatMap(token => namedToken(file, field, token) ?? [])

/** The files of a directory. */
interface Files {
  readonly config: Json | undefined
  readonly specialTokens: Json | undefined
  readonly addedTokens: Json | undefined
}

/** The tokens that the files name: special tokens by role, others, and tokens with ids. */
interface Named {
  readonly roles: ReadonlyMap<string, NamedToken>
  readonly extra: readonly NamedToken[]
  readonly numbered: readonly NamedToken[]
}

/** The id that a JSON object has as a key. */
const keyId = (file: string, field: string, key: string): number => {
  const id = Number(key)
  if (!/^\d+$/.test(key) || !isId(id)) throw refusal(`${file}: ${field}: ${quoted(key)} is no id of a token`)
  return id
}

const named = (
  directory: string,
  tokenizer: Json,
  { config = {}, specialTokens = {}, addedTokens = {} }: Files,
): Named => {
  const file = join(directory, 'tokenizer_config.json')
  const mapFile = join(directory, 'special_tokens_map.json')
  const listed = config['added_tokens_decoder']
  const isComplete = isRecord(listed)
  // if tokenizer_config.json lists the added tokens, the older files do not count
  const later = isComplete ? {} : specialTokens
  // the token that a tokenizer.json pads with is one of the special tokens
  const padding: Json = isRecord(tokenizer['padding']) ? { pad_token: tokenizer['padding']['pad_token'] } : {}
  const byRole = new Map(
    roles.flatMap(role => {
      const token = namedToken(mapFile, role, later[role]) ?? namedToken(file, role, { ...padding, ...config }[role])
      return token === undefined ? [] : [[role as string, token] as const]
    }),
  )
  const extra = (source: Json, from: string): readonly NamedToken[] =>
    ['additional_special_tokens', 'extra_special_tokens'].flatMap(field => namedTokens(from, field, source[field]))
  // a name that only this model has, such as image_token
  const own = Object.entries(config).flatMap(([field, token]) =>
    field.endsWith('_token') && !roles.some(role => role === field) && typeof token === 'string'
      ? [specialToken(token)]
      : [],
  )
  const extras = [...own, ...extra(config, file), ...extra(later, mapFile)]
  const special = new Set([...byRole.values(), ...extras].map(token => token.content))
  const numbered = isComplete
    ? Object.entries(listed).map(([key, token]) =>
        addedToken(file, `added_tokens_decoder ${quoted(key)}`, token, keyId(file, 'added_tokens_decoder', key)),
      )
    : Object.entries(addedTokens).map(([content, id]): NamedToken => {
        const from = join(directory, 'added_tokens.json')
        if (!isId(id))
          throw refusal(`${from}: the id of the token ${quoted(content)} must be a whole number, not ${quoted(id)}`)
        return { ...specialToken(content), id, special: special.has(content), normalized: !special.has(content) }
      })
  return { roles: byRole, extra: extras, numbered }
}

/** The added tokens of tokenizer.json, which count if tokenizer_config.json lists none. */
const ownTokens = (tokenizer: Json): ReadonlySet<unknown> =>
  new Set(
    Array.isArray(tokenizer['added_tokens'])
      ? tokenizer['added_tokens'].map(token => (isRecord(token) ? token['content'] : undefined))
      : [],
  )

/**
 * The tokens to add after those of tokenizer.json: the numbered ones in the order of their ids, then the special tokens
 * that are not there yet.
 */
const moreTokens = (tokenizer: Json, config: Json, { roles, extra, numbered }: Named): readonly NamedToken[] => {
  const own = ownTokens(tokenizer)
  const overrides = isRecord(config['added_tokens_decoder'])
  const first = [...numbered]
    .sort((a, b) => (a.id ?? 0) - (b.id ?? 0))
    .filter(token => overrides || !own.has(token.content))
  const names = new Set([...own, ...first.map(token => token.content)])
  const roleNames = new Set([...roles.values()].map(token => token.content))
  const rest = [...roles.values(), ...extra].filter(({ content }) => !names.has(content) && Boolean(names.add(content)))
  return [...first.map(token => (roleNames.has(token.content) ? { ...token, special: true } : token)), ...rest]
}

/** Ids that a configuration names, as a number or a list of them. */
const idsOf = (file: string, field: string, value: unknown): readonly number[] => {
  if (value === undefined || value === null) return []
  const ids: readonly unknown[] = [value].flat()
  return ids.every(isId)
    ? ids
    : (() => {
        throw refusal(`${file}: ${field} must be a token id or a list of them, not ${quoted(value)}`)
      })()
}

/** Refuses the settings of tokenizer_config.json that change ids. */
const checkSettings = (file: string, config: Json): void => {
  if (config['split_special_tokens'] === true) throw refusal(`${file}: "split_special_tokens" is not supported`)
}

/**
 * Describes the tokenizer of a directory; the result is undefined if it has no tokenizer.json. Errors: broken files,
 * invalid ids.
 */
export const describeDirectory = (directory: string): TE.TaskEither<IoError, TokenizerDescription | undefined> => {
  const at = (name: string): string => join(directory, name)
  return pipe(
    TE.Do,
    TE.bind('tokenizer', () => readJson(at('tokenizer.json'))),
    TE.bind('config', () => readJson(at('tokenizer_config.json'))),
    TE.bind('specialTokens', () => readJson(at('special_tokens_map.json'))),
    TE.bind('addedTokens', () => readJson(at('added_tokens.json'))),
    TE.bind('generation', () => readJson(at('generation_config.json'))),
    TE.bind('model', () => readJson(at('config.json'))),
    TE.bind('jinja', () => readOptional(at('chat_template.jinja'))),
    TE.bind('toolJinja', () => readOptional(at(join('additional_chat_templates', 'tool_use.jinja')))),
    TE.flatMapEither(
      ({
        tokenizer,
        generation = {},
        model = {},
        jinja,
        toolJinja,
        ...files
      }): E.Either<IoError, TokenizerDescription | undefined> =>
        tokenizer === undefined
          ? E.right(undefined)
          : attemptSync(directory, () => {
              const { config = {} } = files
              const found = named(directory, tokenizer, files)
              checkSettings(at('tokenizer_config.json'), config)
              const ids = (field: string): readonly number[] => [
                ...idsOf(at('generation_config.json'), field, generation[field]),
                ...idsOf(at('config.json'), field, model[field]),
              ]
              return {
                subject: at('tokenizer.json'),
                tokenizer,
                moreTokens: moreTokens(tokenizer, config, found),
                bosToken: found.roles.get('bos_token')?.content,
                eosToken: found.roles.get('eos_token')?.content,
                bosIds: ids('bos_token_id'),
                stop: ids('eos_token_id'),
                chatSource: jinja ?? templateText(config['chat_template'], 'default'),
                toolChatSource:
                  toolJinja ?? (jinja === undefined ? templateText(config['chat_template'], 'tool_use') : undefined),
                namedTokens: Object.fromEntries([...found.roles].map(([role, { content }]) => [role, content])),
              }
            }),
    ),
  )
}

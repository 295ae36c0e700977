import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { attemptSync, fail, type IoError, isRecord, parsedJson } from '../../text/index.ts'
import { parseData } from '../jinja/data.ts'
import type { ChatOptions, Message } from './message.ts'

const isMessage = (value: unknown): value is Message => {
  if (!isRecord(value) || typeof value['role'] !== 'string') return false
  const content = value['content']
  return (
    typeof content === 'string' ||
    (Array.isArray(content) && content.every(isRecord)) ||
    ((content === undefined || content === null) && Array.isArray(value['tool_calls']))
  )
}

/** An optional list of objects in a row; also as JSON in a text, which data sets with a fixed schema use. */
const recordsOf = (name: string, value: unknown): E.Either<IoError, readonly unknown[] | null> => {
  if (value === undefined || value === null) return E.right(null)
  const list =
    typeof value !== 'string'
      ? E.right(value)
      : attemptSync(`"${name}"`, () => {
          parsedJson(`"${name}"`, value)
          return parseData(value)
        })
  return pipe(
    list,
    E.flatMap(list =>
      Array.isArray(list) && list.every(isRecord) ? E.right(list) : fail(`"${name}" must be a list of objects`),
    ),
  )
}

/**
 * Names that are not variables: values that the template receives under other names, and arguments of transformers'
 * `apply_chat_template`.
 */
const reserved = [
  'messages',
  'tools',
  'documents',
  'add_generation_prompt',
  'conversation',
  'chat_template',
  'continue_final_message',
  'tokenize',
  'padding',
  'truncation',
  'max_length',
  'return_tensors',
  'return_dict',
  'return_assistant_tokens_mask',
  'tokenizer_kwargs',
  'sanitize_control_tokens',
]

const variablesOf = (value: unknown): E.Either<IoError, Readonly<Record<string, unknown>>> => {
  if (value === undefined || value === null) return E.right({})
  if (!isRecord(value) || Array.isArray(value)) return fail('"chat_template_kwargs" must be an object')
  const taken = reserved.find(name => Object.hasOwn(value, name))
  return taken === undefined ? E.right(value) : fail(`"chat_template_kwargs" cannot set "${taken}"`)
}

/** The conversation in a row: its messages, and the tools, documents and variables that its template reads. */
export interface Conversation {
  readonly messages: readonly Message[]
  readonly options: ChatOptions
}

/**
 * The conversation in a row of a data set. Errors: invalid messages, tools, documents or variables.
 * @example conversationOf({ messages: [{ role: 'user', content: 'Hi' }] })
 */
export const conversationOf = (row: Readonly<Record<string, unknown>>): E.Either<IoError, Conversation> => {
  const { messages } = row
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage)) {
    return fail(
      '"messages" must be a list of objects with the strings "role" and "content" (or a list of parts; or "tool_calls")',
    )
  }
  return pipe(
    E.Do,
    E.bind('tools', () => recordsOf('tools', row['tools'])),
    E.bind('documents', () => recordsOf('documents', row['documents'])),
    E.bind('variables', () => variablesOf(row['chat_template_kwargs'])),
    E.map(options => ({ messages, options })),
  )
}

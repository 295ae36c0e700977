import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ioError, reasonOf, type IoError } from '../../text/index.ts'
import type { Body } from '../jinja/ast.ts'
import { compileTemplate, marksGeneration, render, type Rendering } from '../jinja/template.ts'
import type { ChatOptions, Message } from './message.ts'
import type { Extent } from './scored.ts'
import { turnExtents } from '../turns.ts'

export type { ChatOptions, Message } from './message.ts'

/** The tokens that a chat template may refer to; `specialTokens` holds every token that the tokenizer never splits. */
export interface TemplateTokens {
  readonly bosToken?: string | undefined
  readonly eosToken?: string | undefined
  /** Other tokens by the names that a template uses: `pad_token`, `unk_token`. */
  readonly named?: Readonly<Record<string, string>> | undefined
  readonly specialTokens: readonly string[]
}

/** A parsed chat template, with the special tokens of its tokenizer. */
export interface ChatTemplate {
  readonly template: Body
  /** Another template, for conversations with tools. */
  readonly toolTemplate?: Body | undefined
  readonly tokens: TemplateTokens
}

/** A piece of a rendered conversation, and whether its tokens are scored. */
export interface Span {
  readonly text: string
  readonly scored: boolean
}

/**
 * Parses a Jinja chat template. Errors: a template that is not Jinja, or not supported; `subject` (the file) begins the
 * message. `toolSource` is the template of conversations with tools, if there is one.
 * @example chatTemplate('tokenizer_config.json', '{% for m in messages %}{{ m.content }}{% endfor %}', { specialTokens:
 * [] })
 */
export const chatTemplate = (
  subject: string,
  source: string,
  tokens: TemplateTokens,
  toolSource?: string,
): E.Either<IoError, ChatTemplate> =>
  E.tryCatch(
    () => ({
      template: compileTemplate(source),
      toolTemplate: toolSource === undefined ? undefined : compileTemplate(toolSource),
      tokens,
    }),
    error => ioError(`${subject}: the chat template does not parse: ${reasonOf(error)}`),
  )

/** The names under which a message's reasoning is passed: templates read the first, older ones the second. */
const reasoningFields = ['reasoning_content', 'thinking', 'reasoning']

/** A message as transformers passes it: without null fields, and with its reasoning under each of the usual names. */
const passed = (message: Message): Readonly<Record<string, unknown>> => {
  const present = Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
  )
  const reasoning = reasoningFields.map(name => present[name]).find(value => value !== undefined)
  return reasoning === undefined ? present : { thinking: reasoning, ...present, reasoning_content: reasoning }
}

/** The template for a conversation: the one for tools, if it exists and the conversation has tools. */
const chosen = ({ template, toolTemplate = template }: ChatTemplate, { tools }: ChatOptions): Body =>
  tools === undefined || tools === null ? template : toolTemplate

const rendering = (
  template: ChatTemplate,
  messages: readonly Message[],
  options: ChatOptions,
  addGenerationPrompt: boolean,
): E.Either<IoError, Rendering> =>
  E.tryCatch(
    () =>
      render(chosen(template, options), {
        bos_token: template.tokens.bosToken,
        eos_token: template.tokens.eosToken,
        ...template.tokens.named,
        ...options.variables,
        messages: messages.map(passed),
        tools: options.tools ?? null,
        documents: options.documents ?? null,
        add_generation_prompt: addGenerationPrompt,
      }),
    error => ioError(`the chat template refuses the messages: ${reasonOf(error)}`),
  )

/**
 * The text of a conversation as the model was trained to see it, as transformers renders it; `addGenerationPrompt`
 * opens the assistant's turn at its end. Errors: the template refuses the conversation (if its roles do not alternate,
 * for instance), uses something unsupported, or does not terminate.
 * @example renderChat(template, [{ role: 'user', content: 'Hello' }], { addGenerationPrompt: true })
 */
export const renderChat = (
  template: ChatTemplate,
  messages: readonly Message[],
  { addGenerationPrompt = false, ...options }: ChatOptions & { readonly addGenerationPrompt?: boolean } = {},
): E.Either<IoError, string> =>
  pipe(
    rendering(template, messages, options, addGenerationPrompt),
    E.map(({ text }) => text),
  )

/** Cuts a text at the ends of its scored parts. */
const cut = (text: string, scored: readonly Extent[]): readonly Span[] => {
  let done = 0
  const spans = scored.flatMap(([start, end]): readonly Span[] => {
    const before = { text: text.slice(done, start), scored: false }
    done = end
    return [before, { text: text.slice(start, end), scored: true }]
  })
  return [...spans, { text: text.slice(done), scored: false }].filter(span => span.text !== '')
}

/**
 * Cuts a conversation into scored and unscored spans. The scored ones are those that the template marks with `{%
 * generation %}`; without such marks, the assistant's words and the token that ends its turn. `turnExtent` describes
 * how they are found, and which templates are refused.
 * @example chatSpans(template, [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello' }])
 */
export const chatSpans = (
  template: ChatTemplate,
  messages: readonly Message[],
  options: ChatOptions = {},
): E.Either<IoError, readonly Span[]> => {
  const whole = rendering(template, messages, options, false)
  if (E.isLeft(whole)) return whole
  const { text, generated } = whole.right
  if (marksGeneration(chosen(template, options))) return E.right(cut(text, generated))
  return pipe(
    turnExtents({
      text,
      messages,
      specialTokens: template.tokens.specialTokens,
      render: (part, addGenerationPrompt) => renderChat(template, part, { ...options, addGenerationPrompt }),
    }),
    E.map(scored => cut(text, scored)),
  )
}

import { Template } from '@huggingface/jinja'
import * as E from 'fp-ts/lib/Either.js'
import { fail, ioError, reasonOf, type IoError } from './error.ts'

/** One turn of a conversation. */
export interface Message {
  readonly role: string
  readonly content: string
}

/** The texts a chat template may refer to; `specialTokens` holds every token that the tokenizer never splits. */
export interface TemplateTokens {
  readonly bosToken?: string | undefined
  readonly eosToken?: string | undefined
  readonly specialTokens: readonly string[]
}

/** A chat template, parsed, with the special tokens of its tokenizer. */
export interface ChatTemplate {
  readonly template: { render(items: Readonly<Record<string, unknown>>): string }
  readonly tokens: TemplateTokens
}

/** A piece of a rendered conversation, and whether its tokens are scored. */
export interface Span {
  readonly text: string
  readonly scored: boolean
}

/**
 * Parses a Jinja chat template. Errors: a template that is not Jinja; `subject` (the file) begins the sentence.
 * @example chatTemplate('tokenizer_config.json', '{% for m in messages %}{{ m.content }}{% endfor %}', { specialTokens: [] })
 */
export const chatTemplate = (subject: string, source: string, tokens: TemplateTokens): E.Either<IoError, ChatTemplate> =>
  E.tryCatch(
    () => ({ template: new Template(source), tokens }),
    error => ioError(`${subject}: the chat template does not parse: ${reasonOf(error)}`)
  )

/**
 * The text of a conversation as the model was trained to see it; `addGenerationPrompt` opens the assistant's turn at its end.
 * Errors: what the template refuses (roles that do not alternate, say).
 * @example renderChat(template, [{ role: 'user', content: 'Hello' }], { addGenerationPrompt: true })
 */
export const renderChat = (
  { template, tokens }: ChatTemplate,
  messages: readonly Message[],
  { addGenerationPrompt = false }: { readonly addGenerationPrompt?: boolean } = {}
): E.Either<IoError, string> =>
  E.tryCatch(
    () => template.render({
      messages,
      add_generation_prompt: addGenerationPrompt,
      bos_token: tokens.bosToken ?? '',
      eos_token: tokens.eosToken ?? ''
    }),
    error => ioError(`the chat template refuses the messages: ${reasonOf(error)}`)
  )

/** Where the last special token in a text ends, or 0 where there is none. */
const endOfLastToken = (text: string, specialTokens: readonly string[]): number =>
  specialTokens.reduce((end, token) => {
    const at = text.lastIndexOf(token)
    return at < 0 ? end : Math.max(end, at + token.length)
  }, 0)

/**
 * Cuts a conversation into spans; the assistant's words and the token that ends its turn are scored, nothing else.
 * A template does not say where its turns lie, so prefixes are rendered: the words of turn i are what `messages[..i + 1]` adds to
 * `messages[..i]` with a generation prompt. Errors: a template without that prefix property, or one that ends no turn, because
 * then the wrong words would be scored.
 * @example chatSpans(template, [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello' }])
 */
export const chatSpans = (template: ChatTemplate, messages: readonly Message[]): E.Either<IoError, readonly Span[]> => {
  const rendered = renderChat(template, messages)
  if (E.isLeft(rendered)) return rendered
  const whole = rendered.right
  const spans: Span[] = []
  let done = 0
  for (const [i, message] of messages.entries()) {
    if (message.role !== 'assistant') continue
    const before = renderChat(template, messages.slice(0, i), { addGenerationPrompt: true })
    if (E.isLeft(before)) return before
    const after = renderChat(template, messages.slice(0, i + 1))
    if (E.isLeft(after)) return after
    if (before.right.length < done || !after.right.startsWith(before.right) || !whole.startsWith(after.right)) {
      return fail(`the chat template does not simply continue the messages before message ${i + 1}, `
        + `so the assistant's words cannot be told from the rest`)
    }
    const turn = after.right.slice(before.right.length)
    const end = endOfLastToken(turn, template.tokens.specialTokens)
    if (end === 0) return fail(`the chat template writes no special token at the end of message ${i + 1}, so the model would never learn to stop`)
    spans.push({ text: before.right.slice(done), scored: false }, { text: turn.slice(0, end), scored: true })
    done = before.right.length + end
  }
  return E.right([...spans, { text: whole.slice(done), scored: false }].filter(span => span.text !== ''))
}

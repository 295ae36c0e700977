import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError } from '../../text/index.ts'
import type { Extent } from '../jinja/interpreter.ts'
import type { Message } from './message.ts'

export type { Extent } from '../jinja/interpreter.ts'

/** A rendered conversation, with a function that renders variants of it. */
export interface Conversation {
  readonly text: string
  readonly messages: readonly Message[]
  readonly specialTokens: readonly string[]
  readonly render: (messages: readonly Message[], addGenerationPrompt: boolean) => E.Either<IoError, string>
}

/**
 * Up to `count` characters that do not occur in a text, from those for private use; fewer if the text has the others.
 */
export const charactersOutside = (text: string, count: number): readonly string[] => {
  const found: string[] = []
  for (let code = 0xe000; code < 0xf900 && found.length < count; code++) {
    const character = String.fromCharCode(code)
    if (!text.includes(character)) found.push(character)
  }
  return found
}
const characterOutside = (text: string): string => charactersOutside(text, 1)[0] ?? '\ue000'

/** The message with other words, and without the tool calls that would follow them. */
export const withWords = (message: Message, words: string): Message => ({
  ...message,
  content: Array.isArray(message.content) ? [{ type: 'text', text: words }] : words,
  tool_calls: undefined,
})

/**
 * The tokens that are more than white space, longest first: a text that begins with several of them begins with the
 * longest.
 */
const visible = (tokens: readonly string[]): readonly string[] =>
  tokens.filter(token => token.trim() !== '').toSorted((a, b) => b.length - a.length)

/** The end of the token that begins at `at`. */
const tokenEnd = (text: string, at: number, tokens: readonly string[]): number | undefined => {
  const token = tokens.find(candidate => text.startsWith(candidate, at))
  return token === undefined ? undefined : at + token.length
}

/** The end of the token that closes a turn, if it directly follows the words. */
const closing = (behind: string, tokens: readonly string[]): number | undefined =>
  tokenEnd(behind, behind.length - behind.trimStart().length, tokens)

/** The end of the last of the consecutive tokens that close a turn in all of the texts. */
const closingAll = (behind: readonly string[], end: number, tokens: readonly string[]): number => {
  const ends = behind.map(text => tokenEnd(text, end, tokens))
  const [next] = ends
  const isSame =
    next !== undefined &&
    behind.every(text => text.slice(0, next) === behind[0]!.slice(0, next)) &&
    ends.every(other => other === next)
  return isSame ? closingAll(behind, next, tokens) : end
}

const refused = (number: number, reason = ''): E.Either<IoError, never> =>
  fail(
    `the chat template does not simply continue the messages before ` +
      `message ${number}, so the assistant's words cannot be told from the rest${reason}`,
  )

const rightOf = (result: E.Either<IoError, string>): string | undefined =>
  E.isRight(result) ? result.right : undefined

/** The text that a longer text adds to a shorter one with which it begins. */
const addition = (shorter: string | undefined, longer: string | undefined): string | undefined =>
  shorter !== undefined && longer?.startsWith(shorter) === true ? longer.slice(shorter.length) : undefined

/** The text around the words of a message, found by a rendering in which a single character stands for them. */
const around = (rendered: string, probe: string): readonly [ahead: string, behind: string] | undefined => {
  const [ahead, behind, ...more] = rendered.split(probe)
  return ahead === undefined || behind === undefined || more.length > 0 ? undefined : [ahead, behind]
}

/** The end of the token that closes the turn; see `turnExtent`. */
const turnEnd = (
  { text, messages, specialTokens, render }: Conversation,
  index: number,
): E.Either<IoError, { readonly end: number; readonly ahead: string }> => {
  const number = index + 1
  const probe = characterOutside(text)
  const tokens = visible(specialTokens)
  const probed = [...messages.slice(0, index), withWords(messages[index]!, probe)]
  const [inPlace, alone] = [render([...probed, ...messages.slice(number)], false), render(probed, false)]
  if (E.isLeft(inPlace) || E.isLeft(alone)) {
    return refused(
      number,
      `: with other words in it, ${E.isLeft(inPlace) ? inPlace.left.message : E.isLeft(alone) ? alone.left.message : ''}`,
    )
  }
  const [whole, cut] = [around(inPlace.right, probe), around(alone.right, probe)]
  if (whole === undefined || cut === undefined) return refused(number)
  const [[ahead, behind], [, close]] = [whole, cut]
  const closed = closing(close, tokens)
  if (closed === undefined) {
    return fail(
      `the chat template writes no special token at the end of message ${number}, so the model would never learn to stop`,
    )
  }
  if (!text.endsWith(behind)) return refused(number)
  const token = close.slice(0, closed)
  if (!behind.startsWith(token))
    return refused(number, `: it ends the message with ${JSON.stringify(token)} only if no other follows`)
  // Further tokens close the turn too, if they do so whatever follows: an end of sequence may follow the last turn
  // only.
  const isLast = number === messages.length
  const mayFollow = tokenEnd(close, closed, tokens) !== undefined
  const followed = isLast && mayFollow ? rightOf(render([...probed, { role: 'user', content: 'a' }], false)) : undefined
  const further = !mayFollow ? undefined : isLast ? around(followed ?? '', probe)?.[1] : behind
  const all = further === undefined ? closed : closingAll([close, further], closed, tokens)
  return E.right({ end: text.length - behind.length + all, ahead })
}

/**
 * The end of a turn that calls tools, in a template that does not accept words instead: the last thing that the message
 * writes is the token that closes an answer in words.
 */
const callEnd = ({ text, messages, specialTokens, render }: Conversation, index: number): number | undefined => {
  const probe = characterOutside(text)
  const words = rightOf(
    render(
      [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: probe },
      ],
      false,
    ),
  )
  const close = words === undefined ? undefined : around(words, probe)?.[1]
  const after = rightOf(render(messages.slice(0, index + 1), false))
  const closed = close === undefined ? undefined : closing(close, visible(specialTokens))
  const written = after?.trimEnd()
  return close !== undefined &&
    closed !== undefined &&
    written !== undefined &&
    after !== undefined &&
    text.startsWith(after) &&
    written.endsWith(close.slice(0, closed).trimStart())
    ? written.length
    : undefined
}

/**
 * Finds the words of an assistant's message in the rendered conversation, with the token that closes its turn.
 *
 * A template does not mark its turns. So the conversation is rendered once more with a single character in place of the
 * words, which shows the text that follows them; and once more up to the message, which shows the text that closes it
 * if nothing follows. Both must begin with the same special token. The words begin where the prompt for this answer
 * ends, just as when the model answers. If the conversation does not begin with that prompt (because a system prompt
 * moves, for instance), they begin at the character, provided that the prompt directly precedes it. Words that the
 * template changes or leaves out are scored as it writes them.
 *
 * Errors: a template for which this does not hold, because the wrong words would be scored; one that does not close
 * turns.
 */
export const turnExtent = (conversation: Conversation, index: number): E.Either<IoError, Extent> => {
  const { text, messages, render } = conversation
  const number = index + 1
  const before = messages.slice(0, index)
  const tokens = visible(conversation.specialTokens)
  const found = turnEnd(conversation, index)
  const asked = rightOf(render(before, true))
  if (E.isLeft(found)) {
    const end = Array.isArray(messages[index]?.['tool_calls']) ? callEnd(conversation, index) : undefined
    return end !== undefined && asked !== undefined && text.startsWith(asked) && asked.length < end
      ? E.right([asked.length, end])
      : found
  }
  const { end, ahead } = found.right
  // Many templates cannot render an empty list of messages: their prompt for the first answer is the one for the next.
  const prompt =
    index === 0 ? addition(text, rightOf(render(messages, true))) : addition(rightOf(render(before, false)), asked)
  const start =
    asked !== undefined && text.startsWith(asked) && asked.endsWith(prompt ?? '') && asked.length <= end
      ? asked.length
      : undefined
  const stands = text.startsWith(ahead) && ahead.length <= end ? ahead.length : undefined
  // Without a prompt that opens the turn, its header does not belong to the assistant's words.
  const hasHeader =
    prompt === '' &&
    start !== undefined &&
    stands !== undefined &&
    stands > start &&
    tokens.some(token => text.slice(start, stands).includes(token))
  if (start !== undefined && !hasHeader) return E.right([start, end])
  if (stands === undefined || prompt === undefined) return refused(number)
  if (!ahead.endsWith(prompt))
    return refused(number, `: it asks for an answer with ${JSON.stringify(prompt)}, which is not how this one begins`)
  // The model writes the white space after the token that ends the question.
  const bare = ahead.trimEnd()
  const question = tokens.find(token => asked?.endsWith(token) === true)
  return E.right([prompt === '' && question !== undefined && bare.endsWith(question) ? bare.length : stands, end])
}

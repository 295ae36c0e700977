import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError } from '../text/index.ts'
import { charactersOutside, turnExtent, withWords, type Conversation, type Extent } from './chat/scored.ts'

/** A text cut into the assistant's words and the text between them. */
interface Pieces {
  readonly between: readonly string[]
  readonly words: readonly string[]
}

/**
 * The pieces of a rendered conversation, if the template writes the words of every answer unchanged, or without the
 * white space around them. All of them are found in one more rendering, with a character in place of each.
 */
const piecesOf = ({ text, messages, render }: Conversation, indices: readonly number[]): Pieces | undefined => {
  const probes = charactersOutside(text, indices.length)
  if (probes.length < indices.length) return undefined
  const probed = render(
    messages.map((message, i) => {
      const at = indices.indexOf(i)
      return at < 0 ? message : withWords(message, probes[at]!)
    }),
    false,
  )
  if (E.isLeft(probed)) return undefined
  const between = probed.right.split(new RegExp(`[${probes.join('')}]`))
  const words: string[] = []
  if (
    between.length !== indices.length + 1 ||
    probes.some((probe, i) => probed.right[between.slice(0, i + 1).join('').length + i] !== probe)
  )
    return undefined
  let at = 0
  for (const [i, index] of indices.entries()) {
    const { content, tool_calls: calls } = messages[index]!
    if (typeof content !== 'string' || calls !== undefined || !text.startsWith(between[i]!, at)) return undefined
    at += between[i]!.length
    const own = [content, content.trimEnd(), content.trimStart(), content.trim()].find(written =>
      text.startsWith(written + between[i + 1]!, at),
    )
    if (own === undefined) return undefined
    words.push(own)
    at += own.length
  }
  return at + between.at(-1)!.length === text.length ? { between, words } : undefined
}

/** The longest common suffix of two texts, of at most 32 characters. */
const commonEnd = (a: string, b: string): string => {
  let length = 0
  while (length < Math.min(32, a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++
  return a.slice(a.length - length)
}

/**
 * The turns between the first and the last but one, if each begins and ends as these two do: after the same end of a
 * prompt, and with the same tokens after its words. (Templates write the last turn differently: they show only its
 * thinking.) If not, each turn has to be found by itself, which takes one rendering of the conversation for every turn.
 */
const turnsBetween = (
  conversation: Conversation,
  indices: readonly number[],
  first: Extent,
  last: Extent,
): readonly Extent[] | undefined => {
  const { text } = conversation
  const pieces = piecesOf(conversation, indices)
  if (pieces === undefined) return undefined
  let at = 0
  const places = pieces.words.map((words, i) => {
    const start = at + pieces.between[i]!.length
    at = start + words.length
    return { ahead: pieces.between[i]!, start, end: at }
  })
  const [one, other] = [places[0]!, places.at(-2)!]
  if (first[0] > one.start || last[0] > other.start) return undefined
  const lead = text.slice(first[0], one.start)
  const close = text.slice(one.end, first[1])
  if (lead !== text.slice(last[0], other.start) || close !== text.slice(other.end, last[1]) || close === '')
    return undefined
  const prompt = commonEnd(text.slice(0, first[0]), text.slice(0, last[0]))
  const isAlike = places
    .slice(1, -1)
    .every(({ ahead, end }) => ahead.endsWith(prompt + lead) && text.startsWith(close, end))
  return prompt !== '' && isAlike
    ? places.slice(1, -2).map(({ start, end }) => [start - lead.length, end + close.length])
    : undefined
}

/**
 * Finds the words of every assistant's message, with the tokens that close its turn; see `turnExtent`. Errors: those of
 * `turnExtent`.
 */
export const turnExtents = (conversation: Conversation): E.Either<IoError, readonly Extent[]> => {
  const indices = conversation.messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []))
  const found = new Map<number, Extent>()
  const find = (index: number): E.Either<IoError, Extent> => {
    const turn = turnExtent(conversation, index)
    if (E.isRight(turn)) found.set(index, turn.right)
    return turn
  }
  const [first, last] = [indices[0], indices.at(-2)]
  if (first !== undefined && last !== undefined && indices.length > 3) {
    const ends = [find(first), find(last)]
    const failed = ends.find(E.isLeft)
    if (failed !== undefined) return failed
    const between = turnsBetween(conversation, indices, found.get(first)!, found.get(last)!)
    between?.forEach((extent, i) => found.set(indices[i + 1]!, extent))
  }
  const extents: Extent[] = []
  for (const index of indices) {
    const extent = found.get(index)
    const turn = extent === undefined ? find(index) : E.right(extent)
    if (E.isLeft(turn)) return turn
    if (turn.right[0] < (extents.at(-1)?.[1] ?? 0))
      return fail(`the chat template does not write message ${index + 1} behind the messages before it`)
    extents.push(turn.right)
  }
  return E.right(extents)
}

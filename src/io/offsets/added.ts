import { aligned, extentOf, textOf, type Aligned, type Offsets } from './aligned.ts'
import type { Normalizer } from './normalizer.ts'

/** A token that is found in a text before anything else is done to it. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Takes the white space before it, or behind it, with it. */
  readonly lstrip: boolean
  readonly rstrip: boolean
  /** Is found only where no word goes on before or behind it. */
  readonly singleWord: boolean
  /** Is looked for in the normalized text, not in the text itself. */
  readonly normalized: boolean
}

/** A stretch of a text: one added token, or text that has none. */
export interface Section {
  readonly text: Aligned
  readonly token?: AddedToken
}

/** Finds added tokens: at every place the longest, from left to right. */
interface Finder {
  readonly longest: ReadonlyMap<string, readonly { readonly content: string, readonly token: AddedToken }[]>
}

const finder = (tokens: readonly { readonly content: string, readonly token: AddedToken }[]): Finder => {
  const longest = new Map<string, { readonly content: string, readonly token: AddedToken }[]>()
  for (const entry of [...tokens].sort((a, b) => b.content.length - a.content.length)) {
    const first = String.fromCodePoint(entry.content.codePointAt(0) ?? 0)
    longest.set(first, [...longest.get(first) ?? [], entry])
  }
  return { longest }
}

const word = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u
const space = /^\p{White_Space}$/u

/** Cuts a text at the added tokens in it. */
const sections = ({ longest }: Finder, text: Aligned): readonly Section[] => {
  if (longest.size === 0) return text.length === 0 ? [] : [{ text }]
  const plain = textOf(text), found: Section[] = []
  let done = 0
  for (let i = 0, unit = 0; i < text.length;) {
    const match = longest.get(text[i]!.text)?.find(({ content }) => plain.startsWith(content, unit))
    if (match === undefined) { unit += text[i]!.text.length; i++; continue }
    const { token } = match, length = Array.from(match.content).length
    let start = i, end = i + length
    i = end
    unit += match.content.length
    const inWord = (at: number): boolean => text[at] !== undefined && word.test(text[at].text)
    if (token.singleWord && (inWord(start - 1) || inWord(end))) continue
    if (token.lstrip) while (start > done && space.test(text[start - 1]!.text)) start--
    if (token.rstrip) while (end < text.length && space.test(text[end]!.text)) { unit += text[end]!.text.length; end++ }
    if (done < start) found.push({ text: text.slice(done, start) })
    found.push({ text: text.slice(start, end), token })
    done = i = end
  }
  return done < text.length ? [...found, { text: text.slice(done) }] : found
}

/** The sections of a text, those without an added token normalized. */
export type Sectioner = (text: Aligned) => readonly Section[]

/**
 * Cuts texts as `tokenizers` does: at the added tokens of the text itself, then, in each normalized stretch between them, at the others.
 * @example sectioner(tokens, normalizerOf(null))(aligned('a</s>b')).length // 3
 */
export const sectioner = (tokens: readonly AddedToken[], normalize: Normalizer): Sectioner => {
  const named = tokens.filter(token => token.content !== '').map(token => ({ content: token.content, token }))
  const plain = finder(named.filter(({ token }) => !token.normalized))
  const rewritten = finder(named.filter(({ token }) => token.normalized)
    .map(({ content, token }) => ({ content: textOf(normalize(aligned(content))), token })).filter(({ content }) => content !== ''))
  return text => sections(plain, text).flatMap(section => section.token === undefined ? sections(rewritten, normalize(section.text)) : [section])
}

/** Where a section stands in the original. */
export const sectionExtent = ({ text }: Section): Offsets => extentOf(text) ?? [0, 0]

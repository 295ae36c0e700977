import type { Search } from '../../text/expression.ts'

/**
 * A character of a rewritten text, and the part of the original that it stands for (in characters, as `tokenizers`
 * counts).
 */
export interface AlignedCharacter {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** A range in a text. */
export type Offsets = readonly [start: number, end: number]

/** A text that records the origin of each of its characters. */
export type Aligned = readonly AlignedCharacter[]

/** A text that has not been rewritten. @example aligned('né')[1] // { text: 'é', start: 1, end: 2 } */
export const aligned = (text: string): Aligned =>
  Array.from(text, (character, i) => ({ text: character, start: i, end: i + 1 }))

/** The text of its characters. @example textOf(aligned('né')) // 'né' */
export const textOf = (characters: Aligned): string => characters.map(character => character.text).join('')

/** The part of the original that characters stand for: from the start of the first to the end of the last. */
export const extentOf = (characters: Aligned): Offsets | undefined => {
  const [first, last] = [characters[0], characters.at(-1)]
  return first === undefined || last === undefined ? undefined : [first.start, last.end]
}

/**
 * One character of a rewritten text: 0 means that it replaces a character, n > 0 that it was inserted, and n < 0 that
 * it replaces one and that −n more were removed. `tokenizers` describes every rewriting this way, and the origin of
 * each character follows from it.
 */
export type Change = readonly [character: string, change: number]

/** A rewritten text from its changes; `skipped` characters at the front are removed. */
export const changed = (from: Aligned, changes: readonly Change[], skipped = 0): Aligned => {
  let next = skipped
  return changes.map(([text, change]) => {
    const source = change > 0 ? from[next - 1] : from[next]
    if (change <= 0) next += 1 - change
    return { text, start: source?.start ?? 0, end: source?.end ?? 0 }
  })
}

/**
 * Rewrites each character by itself: the first character of the result replaces it, the others are inserted; an empty
 * result removes it.
 */
export const mapped = (from: Aligned, become: (character: string) => string): Aligned =>
  from.flatMap(character => Array.from(become(character.text), text => ({ ...character, text })))

/** A text with a prefix; the prefix stands for the same part as the first character. An empty text stays empty. */
export const prefixed = (from: Aligned, prefix: string): Aligned => {
  const first = from[0]
  return first === undefined ? [] : [...Array.from(prefix, text => ({ ...first, text })), ...from]
}

/** The start of each character in `textOf`, and the end of the last: UTF-16 units to characters. */
const charactersAt = (text: Aligned): ReadonlyMap<number, number> => {
  const found = new Map<number, number>()
  let unit = 0
  for (const [i, character] of text.entries()) {
    found.set(unit, i)
    unit += character.text.length
  }
  return found.set(unit, text.length)
}

/** The matches of a search, counted in characters. */
export const matchesIn = (text: Aligned, find: Search): readonly (readonly [from: number, to: number])[] => {
  const matches = find(textOf(text))
  if (matches.length === 0) return []
  const at = charactersAt(text)
  return matches.map(([from, to]) => [at.get(from)!, at.get(to)!])
}

/**
 * The text with every match replaced; the replacement stands for the last character of the match, as in `tokenizers`.
 */
export const replaced = (from: Aligned, find: Search, content: string): Aligned => {
  const result: AlignedCharacter[] = []
  let done = 0
  for (const [start, end] of matchesIn(from, find)) {
    for (; done < start; done++) result.push(from[done]!)
    const last = from[end - 1] ?? { start: 0, end: 0 }
    for (const character of content) result.push({ text: character, start: last.start, end: last.end })
    done = end
  }
  for (; done < from.length; done++) result.push(from[done]!)
  return result
}

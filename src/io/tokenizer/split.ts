/**
 * Cuts a text at matches. Source: huggingface/tokenizers 0.23, tokenizer/normalizer.rs (`split`) and
 * tokenizer/pattern.rs.
 */
import type { Search } from '../../text/expression.ts'
import { matchesIn, type Aligned } from './aligned.ts'

/** The possible treatments of the matches at which a text is cut. */
export const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
export type Behavior = (typeof behaviors)[number]

/** A piece of a text from `from` up to `to`, and whether it is a match. */
interface Span {
  readonly from: number
  readonly to: number
  readonly match: boolean
}

/** The spans of a text of this length between and inside its matches. */
const spansOf = (length: number, matches: Iterable<readonly [from: number, to: number]>): readonly Span[] => {
  const spans: Span[] = []
  let done = 0
  for (const [from, to] of matches) {
    if (done < from) spans.push({ from: done, to: from, match: false })
    spans.push({ from, to, match: true })
    done = to
  }
  if (done < length || length === 0) spans.push({ from: done, to: length, match: false })
  return spans
}

/** Joins some spans, in order, to the ones before them. */
const joined = (spans: readonly Span[], joins: (span: Span, previousMatch: boolean) => boolean): readonly Span[] => {
  const found: Span[] = []
  let previousMatch = false
  for (const span of spans) {
    const last = found.at(-1)
    if (last !== undefined && joins(span, previousMatch)) {
      found[found.length - 1] = { from: Math.min(last.from, span.from), to: Math.max(last.to, span.to), match: false }
    } else found.push(span)
    previousMatch = span.match
  }
  return found
}

const merged = ({ match }: Span, previousMatch: boolean): boolean => match && !previousMatch

/** A way to cut a text: at the matches of a search, or at the text between them. */
export interface Cut {
  readonly find: Search
  readonly behavior: Behavior
  readonly invert?: boolean
}

/**
 * The pieces of a text, without the empty ones.
 * @example cut(aligned('a-b'), { find: search(/-/gu), behavior: 'MergedWithNext' }).map(textOf) // ['a', '-b']
 */
export const cut = (text: Aligned, { find, behavior, invert = false }: Cut): readonly Aligned[] => {
  const found = spansOf(text.length, matchesIn(text, find))
  const spans = invert ? found.map(span => ({ ...span, match: !span.match })) : found
  const kept =
    behavior === 'Removed'
      ? spans.filter(span => !span.match)
      : behavior === 'Isolated'
        ? spans
        : behavior === 'Contiguous'
          ? joined(spans, (span, previousMatch) => span.match === previousMatch)
          : behavior === 'MergedWithPrevious'
            ? joined(spans, merged)
            : joined(spans.toReversed(), merged).toReversed()
  return kept.filter(({ from, to }) => to > from).map(({ from, to }) => text.slice(from, to))
}

import type * as E from '../../either/index.ts'
import { attemptSync, refusal, type IoError, quoted } from '../../text/index.ts'
import { wholeMatch, type WholeMatch } from '../../text/expression.ts'

/** The letters whose escapes mean the same in Python's `re` and in JavaScript, for ASCII text. */
const sharedEscapes = 'dDwWsSbBnrtfv'

/** Syntax of Python's `re` that JavaScript lacks or reads differently. */
const foreign: readonly (readonly [RegExp, string])[] = [
  [/\(\?[aiLmsux-]+[:)]/, 'inline flags'],
  [/\(\?#/, 'a comment'],
  [/\(\?\(/, 'a conditional group'],
  [/\(\?>/, 'an atomic group'],
  [/[*+?}]\+/, 'a possessive quantifier'],
  [/\{,\d/, 'a repetition without a lower bound'],
  [/\[\^?\]/, 'a character class that begins with ]'],
]

/**
 * The same expression in JavaScript's syntax. Escapes are translated one by one, so that an escaped backslash is never
 * taken for the start of one.
 */
const translated = (subject: string, pattern: string): string =>
  pattern
    .replace(/\\(x[0-9a-fA-F]{2}|[\s\S])/g, (escape: string, character: string) => {
      if (character === 'A') return '^'
      if (character === 'Z') return '$'
      if (character === 'x' || (/^[a-zA-Z]$/.test(character) && !sharedEscapes.includes(character))) {
        throw refusal(`${subject}: ${escape} in ${quoted(pattern)} is not supported`)
      }
      return escape
    })
    .replace(/\(\?P</g, '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')

/** Syntax that RE2 reads differently from Python: names of classes inside a class. */
const re2Only = /\[:/

/**
 * A Python regular expression that a whole text must match (`re.fullmatch`). It runs in RE2's linear time if RE2
 * supports it; with a lookahead or a back-reference it may search for a second in total, and then throws a refusal.
 * Errors: an expression that is broken or that JavaScript cannot express; `subject` (the name of the field) begins the
 * message.
 * @example pythonRegex('target_modules', '.*\\.layers\\.[0-3]\\..*(q|v)_proj')
 */
export const pythonRegex = (subject: string, pattern: string): E.Either<IoError, WholeMatch> =>
  attemptSync(subject, () => {
    // escaped characters, and the inside of a class where plain text is allowed, are not read as operators
    const bare = pattern.replace(/\\[\s\S]/g, '__')
    const found = foreign.find(([syntax]) => syntax.test(bare.replace(/\[(?!\^\])\^?[^\]]+\]/g, '[_]')))
    if (found !== undefined)
      throw refusal(`${subject}: ${quoted(pattern)} has ${found[1]} of Python's re, which is not supported`)
    const js = translated(subject, pattern)
    try {
      return wholeMatch({ subject, source: pattern }, { js, re2: re2Only.test(pattern) ? undefined : js })
    } catch (error) {
      if (error instanceof SyntaxError)
        throw refusal(`${subject}: ${quoted(pattern)} is no regular expression that is supported`)
      throw error
    }
  })

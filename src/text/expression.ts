/**
 * Runs regular expressions from untrusted files so that none can hang: in RE2's linear time if RE2 supports them,
 * otherwise in V8 under a time limit that interrupts them.
 */
import { RE2JS } from 're2js'
import { refusal } from './error.ts'
import { isRecord } from './json-fields.ts'
import { quoted } from './quote.ts'

/** One expression in JavaScript's syntax and, if it can be expressed there, in RE2's. */
export interface Translation {
  readonly js: string
  readonly re2: string | undefined
}

/** The origin of an expression, for messages: the subject that a message begins with, and the expression as written. */
export interface Origin {
  readonly subject: string
  readonly source: string
}

/**
 * The most milliseconds that V8 may search for one expression: in all texts together for a whole match, in each text
 * for a search.
 */
export const timeLimit = 1000

/** RE2's program for an expression, or undefined if RE2 cannot express it. */
const linear = (re2: string | undefined, flags: number): RE2JS | undefined => {
  try {
    return re2 === undefined ? undefined : RE2JS.compile(re2, flags)
  } catch {
    return undefined
  }
}

/** Node's module that can interrupt a search. It is looked up on demand, because a browser has none. */
const builtIn = (): typeof import('node:vm') | undefined =>
  typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function'
    ? undefined
    : process.getBuiltinModule('node:vm')

/** Runs code on an expression and a text until it ends or the time is up. */
const limited = (
  code: string,
  expression: RegExp,
  { subject, source }: Origin,
): ((text: string, milliseconds: number) => unknown) => {
  const vm = builtIn()
  if (vm === undefined) {
    throw refusal(
      `${subject}: the expression ${quoted(source)} may search without end, and only Node 20.16 or later can stop it`,
    )
  }
  const script = new vm.Script(code)
  const globals: { expression: RegExp; text: string } = { expression, text: '' }
  const context = vm.createContext(globals)
  return (text, milliseconds) => {
    globals.text = text
    try {
      return script.runInContext(context, { timeout: milliseconds })
    } catch (error) {
      // the error belongs to the other context
      if (isRecord(error) && error['code'] === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
        throw refusal(
          `${subject}: the expression ${quoted(source)} searches a text of ${text.length} characters ` +
            'for more than a second',
        )
      }
      throw error
    }
  }
}

/** A matcher of whole texts, and of their named groups. An anchored JavaScript `RegExp` is one. */
export interface WholeMatch {
  readonly test: (text: string) => boolean
  readonly exec: (text: string) => { readonly groups?: Readonly<Record<string, string>> | undefined } | null
}

/**
 * Matches whole texts. Throws a refusal if V8 has searched for more than a second in total.
 * @example wholeMatch({ subject: 'target_modules', source: '.*' }, { js: '.*', re2: '.*' }).test('q_proj') // true
 */
export const wholeMatch = (origin: Origin, { js, re2 }: Translation): WholeMatch => {
  const expression = new RegExp(`^(?:${js})$`, 's')
  const program = linear(re2, RE2JS.DOTALL)
  if (program !== undefined) {
    return {
      test: text => program.matches(text),
      exec: text => {
        const matcher = program.matcher(text)
        return matcher.matches()
          ? { groups: { ...matcher.getNamedGroups() } as Readonly<Record<string, string>> }
          : null
      },
    }
  }
  const run = limited('expression.exec(text)', expression, origin)
  let left = timeLimit
  const exec: WholeMatch['exec'] = text => {
    const began = performance.now()
    const result = run(text, Math.max(1, Math.ceil(left)))
    left -= performance.now() - began
    return result as RegExpExecArray | null
  }
  return { test: text => exec(text) !== null, exec }
}

/** Finds the matches in a text, from left to right: the start and end of each. */
export type Search = (text: string) => readonly (readonly [from: number, to: number])[]

/** Drops an empty match directly behind another match, as Oniguruma's iterator does. */
const withoutRepeats = (matches: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] =>
  matches.filter(([from, to], i) => to > from || matches[i - 1]?.[1] !== from)

const everyMatch = (text: string, expression: RegExp): readonly (readonly [number, number])[] =>
  Array.from(text.matchAll(expression), ({ index, 0: { length } }) => [index, index + length] as const)

/** Searches with an expression that is known to terminate. @example search(/\p{N}/gu)('a1') // [[1, 2]] */
export const search =
  (expression: RegExp): Search =>
  text =>
    withoutRepeats(everyMatch(text, expression))

/**
 * Searches a text for all matches of an expression. Throws a refusal if V8 searches one text for more than a second.
 * @example searchOf({ subject: 'tokenizer.json', source: 'a+' }, { js: 'a+', re2: 'a+' })('baab') // [[1, 3]]
 */
export const searchOf = (origin: Origin, { js, re2 }: Translation): Search => {
  const program = linear(re2, 0)
  if (program !== undefined && !program.matches('')) {
    return text => {
      const matches: (readonly [number, number])[] = []
      const matcher = program.matcher(text)
      while (matcher.find()) matches.push([matcher.start(), matcher.end()])
      return withoutRepeats(matches)
    }
  }
  const run = limited(
    'Array.from(text.matchAll(expression), match => [match.index, match.index + match[0].length])',
    new RegExp(js, 'gu'),
    origin,
  )
  // copies arrays of the other context into this one
  return text =>
    withoutRepeats(
      Array.from(run(text, timeLimit) as Iterable<readonly [number, number]>, ([from, to]) => [from, to] as const),
    )
}

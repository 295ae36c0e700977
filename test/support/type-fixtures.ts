import type { Diagnostic, Report } from './tsc.ts'

/**
 * The expectations in a fixture: `// error: text` above a line that must be refused with that text, and `//
 * instantiations: n` for the maximum.
 */
export interface Expectations {
  readonly errors: readonly { readonly line: number; readonly text: string }[]
  readonly budget: number | undefined
}

const errorComment = /^\s*\/\/ error: (.*)$/

/** Reads the expectations. An error comment is about the next line of code. */
export const expectationsOf = (source: string): Expectations => {
  const lines = source.split('\n')
  const budget = /^\/\/ instantiations: (\d+)$/m.exec(source)
  const codeAfter = (index: number): number =>
    lines.findIndex((line, i) => i > index && !/^\s*(\/\/.*)?$/.test(line)) + 1
  return {
    errors: lines.flatMap((line, i) => {
      const text = errorComment.exec(line)?.[1]
      return text === undefined ? [] : [{ line: codeAfter(i), text: text.trimEnd() }]
    }),
    budget: budget === null ? undefined : Number(budget[1]),
  }
}

/**
 * The reason inside `ShapeError<"...">` if there is one, with `${D}` for a type parameter D: it must be the whole text.
 * Any other message must contain it.
 */
const says = ({ text }: Diagnostic, expected: string): boolean => {
  const reasons = [...text.matchAll(/ShapeError<(["`])((?:\\.|(?!\1).)*)\1>/g)].map(match => match[2])
  return reasons.length > 0 ? reasons.includes(expected) : text.includes(expected)
}

/** Every difference between a report and its fixture's expectations; empty if the fixture holds. */
export const faults = (source: string, { diagnostics, instantiations }: Report): readonly string[] => {
  const { errors, budget } = expectationsOf(source)
  const missing = errors.filter(
    error => !diagnostics.some(found => found.line === error.line && says(found, error.text)),
  )
  const unexpected = diagnostics.filter(found => !errors.some(error => error.line === found.line))
  const printed = (line: number): string =>
    diagnostics
      .filter(found => found.line === line)
      .map(found => found.text)
      .join('\n')
  return [
    ...missing.map(({ line, text }) => `line ${line} is not refused with: ${text}\n${printed(line)}`),
    ...unexpected.map(({ line, text }) => `line ${line} is refused: ${text}`),
    ...(budget !== undefined && instantiations > budget
      ? [`${instantiations} instantiations are more than the budget of ${budget}`]
      : []),
  ]
}

/** The range of numbers that a setting allows. */
interface Range {
  readonly from?: number
  readonly above?: number
  readonly below?: number
  readonly to?: number
  readonly whole?: boolean
}

const words = ({ from, above, below, to, whole = false }: Range): string =>
  [
    whole ? 'a whole number' : 'a finite number',
    ...[
      from === undefined ? [] : [`at least ${from}`],
      above === undefined ? [] : [`above ${above}`],
      below === undefined ? [] : [`below ${below}`],
      to === undefined ? [] : [`at most ${to}`],
    ].flat(),
  ].join(', ')

/**
 * Checks the number of a setting: a wrong type, or a number outside its range, would otherwise train on silently.
 * @throws {RangeError} such as `adam: b1 is 1: it is a finite number, at least 0, below 1`
 * @example const limit = setting('clip: limit', given, { above: 0 })
 */
export const setting = (what: string, value: unknown, range: Range = {}): number => {
  const { from = -Infinity, above = -Infinity, below = Infinity, to = Infinity, whole = false } = range
  if (
    typeof value === 'number' &&
    Number.isFinite(value) &&
    value >= from &&
    value > above &&
    value < below &&
    value <= to &&
    (!whole || Number.isInteger(value))
  )
    return value
  throw new RangeError(
    value === undefined
      ? `${what} is missing: it is ${words(range)}`
      : `${what} is ${typeof value === 'number' ? value : typeof value}: it is ${words(range)}`,
  )
}

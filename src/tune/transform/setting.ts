import { isNode, u, type Node, type Tensor } from '../../tensor/index.ts'

/** A number of a transform: one that stays, or a scalar of the state that a run may change (see `inject`). */
export type Setting = number | Tensor<readonly []>

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
 * Checks the number of a setting: a wrong type, or a number outside its range, would otherwise train on silently. A
 * scalar of the state passes: `inject` checks its numbers.
 * @throws {RangeError} such as `adam: b1 is 1: it is a finite number, at least 0, below 1`
 * @example const limit = setting('clip: limit', given, { above: 0 })
 */
export const setting = <T extends Setting>(what: string, value: T, range: Range = {}): T => {
  if (isNode(value)) return value
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

/** 1 − x. */
export const rest = (x: Setting): Node | number => (typeof x === 'number' ? 1 - x : u.sub(1, x))
/** −x. */
export const negative = (x: Setting): Node | number => (typeof x === 'number' ? -x : u.neg(x))

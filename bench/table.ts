import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Measurement } from './measurement.ts'
import type { Outcome } from './measure.ts'

/** The text of a unit; '' if there is none, as for a curvature. */
type Unit = 'ms' | 'MB' | 'tensors' | 'steps' | 'times' | '%' | ''

/** One side of a row: a figure, or the reason why there is none. */
export type Figure = E.Either<
  string,
  {
    readonly median: number
    readonly minimum: number
    readonly unit: Unit
    readonly samples: number
    readonly peakMegabytes: number
    readonly tokensPerSecond?: number
  }
>

/** A line of the result: ours compared with a peer or a bound, and the target. */
export interface Row {
  readonly what: string
  readonly ours: Figure
  readonly peer: { readonly name: string; readonly figure: Figure } | undefined
  /** Ours over the peer's: of the medians, and of the minima. */
  readonly ratio: { readonly median: number; readonly minimum: number } | undefined
  readonly asked: string
  /** Undefined if it could not be measured, or if there was no target. */
  readonly met: boolean | undefined
}

export const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Times as a figure, with their rate if the number of tokens is given. */
export const figureOf = ({ times, peakMegabytes }: Measurement, tokens?: number): Figure =>
  E.right({
    median: median(times),
    minimum: Math.min(...times),
    unit: 'ms',
    samples: times.length,
    peakMegabytes,
    ...(tokens === undefined ? {} : { tokensPerSecond: (1000 * tokens) / median(times) }),
  })

/** Bytes as a figure. */
export const bytesFigure = (bytes: number, peakMegabytes: number): Figure => single(bytes / 1e6, 'MB', peakMegabytes)

export const figure = (outcome: Outcome | undefined, tokens?: number): Figure =>
  pipe(
    outcome ?? E.left('not measured'),
    E.flatMap(measured => figureOf(measured, tokens)),
  )

/** Something that is no time, and that was measured once, as a figure. @example single(368, 'MB') */
export const single = (value: number, unit: Unit, peakMegabytes = 0): Figure =>
  E.right({ median: value, minimum: value, unit, samples: 1, peakMegabytes })

/** The peak of the resident memory as a figure of its own. */
export const peakFigure = (outcome: Outcome | undefined): Figure =>
  pipe(
    outcome ?? E.left('not measured'),
    E.flatMap(({ peakMegabytes }) => single(peakMegabytes, 'MB')),
  )

/**
 * A row that compares two figures. `holds` tells for the ratio of medians whether the target is met; without it there
 * is no target.
 */
export const comparison = (
  what: string,
  mine: Figure,
  name: string,
  theirs: Figure,
  asked = '',
  holds?: (ratio: number) => boolean,
): Row => {
  const ratio =
    E.isRight(mine) && E.isRight(theirs)
      ? { median: mine.right.median / theirs.right.median, minimum: mine.right.minimum / theirs.right.minimum }
      : undefined
  return { what, ours: mine, peer: { name, figure: theirs }, ratio, asked, met: ratio && holds?.(ratio.median) }
}

/** A row that compares two figures, with the largest allowed ratio of medians, if there is a target. */
export const comparedTo = (what: string, mine: Figure, name: string, theirs: Figure, most: number | undefined): Row =>
  most === undefined
    ? comparison(what, mine, name, theirs)
    : comparison(what, mine, name, theirs, `≤ ${most}`, ratio => ratio <= most)

/** A row whose median has a bound. */
export const bounded = (what: string, mine: Figure, asked: string, most: number): Row => ({
  what,
  ours: mine,
  peer: undefined,
  ratio: undefined,
  asked,
  met: E.isRight(mine) ? mine.right.median <= most : undefined,
})

const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2))
const text: (figure: Figure) => string = E.match(
  reason => reason,
  ({ median: middle, minimum, unit, samples, peakMegabytes, tokensPerSecond }) =>
    [
      `${digits(middle)}${unit === '' ? '' : ` ${unit}`}${samples > 1 ? ` (min ${digits(minimum)})` : ''}`,
      ...(tokensPerSecond === undefined ? [] : [`${tokensPerSecond.toFixed(0)} tokens/s`]),
      ...(peakMegabytes > 0 ? [`peak ${peakMegabytes} MB`] : []),
    ].join(', '),
)
const verdict = (met: boolean | undefined): string => (met === undefined ? '–' : met ? 'yes' : '**no**')

const line = (cells: readonly string[]): string =>
  `| ${cells.map(cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`

/** A table in Markdown. @example markdown(['op', 'ms'], [['add', '3.1']]) */
export const markdown = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')

/**
 * The rows as a table: times are medians, with the minimum in parentheses; peaks are of the resident memory of the
 * whole process.
 */
export const tableOf = (rows: readonly Row[]): string =>
  markdown(
    ['what', 'ours', 'peer', 'ratio of medians (of minima)', 'asked', 'met'],
    rows.map(({ what, ours, peer, ratio, asked, met }) => [
      what,
      text(ours),
      peer ? `${peer.name}: ${text(peer.figure)}` : '',
      ratio ? `${ratio.median.toFixed(3)} (${ratio.minimum.toFixed(3)})` : '',
      asked,
      verdict(met),
    ]),
  )

import { bytesText } from '../../text/index.ts'
import type { RatedContender } from './contenders.ts'

/** A mean and a standard deviation; a single number has none. */
export interface Spread {
  readonly mean: number
  readonly deviation: number | null
}

/** One line of the table. */
export interface CompareRow extends RatedContender {
  /** True at the contender's rate with the lowest mean loss. */
  readonly best: boolean
  /** Mean and standard deviation of the held-out loss over the seeds; a single seed has no deviation. */
  readonly loss: number
  readonly deviation: number | null
  readonly losses: readonly number[]
  /** The metrics of the model over the seeds, such as top-1 accuracy. */
  readonly metrics?: Readonly<Record<string, Spread>>
  /** Of texts; of images it is `savedBytesPerImage`. */
  readonly savedBytesPerToken?: number
  readonly savedBytesPerImage?: number
  readonly peakMemory: number
  readonly stepSeconds: number
}

/** The middle number, or the mean of the two middle ones. */
export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
export const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length
/** The standard deviation of a sample. */
export const deviation = (numbers: readonly number[]): number | null =>
  numbers.length < 2
    ? null
    : Math.sqrt(numbers.reduce((sum, x) => sum + (x - mean(numbers)) ** 2, 0) / (numbers.length - 1))

const cellsOf = ({
  rank,
  trainable,
  loss,
  deviation: around,
  metrics = {},
  savedBytesPerToken,
  savedBytesPerImage,
  peakMemory,
  stepSeconds,
}: CompareRow): readonly string[] => [
  rank === null ? '' : String(rank),
  trainable.toLocaleString('en'),
  `${loss.toFixed(4)}${around === null ? '' : ` ± ${around.toFixed(4)}`}`,
  ...Object.values(metrics).map(
    of => `${(100 * of.mean).toFixed(2)}${of.deviation === null ? '' : ` ± ${(100 * of.deviation).toFixed(2)}`} %`,
  ),
  (savedBytesPerImage ?? savedBytesPerToken ?? 0).toLocaleString('en', { maximumFractionDigits: 0 }),
  bytesText(peakMemory),
  `${stepSeconds.toFixed(stepSeconds < 1 ? 3 : 2)} s`,
]

/**
 * The table of a comparison, one line per contender. A sweep has one line per rate, and a star marks the best of each
 * contender.
 */
export const comparisonTable = (rows: readonly CompareRow[]): string => {
  const sweeping = new Set(rows.map(({ name }) => name)).size < rows.length
  const rate = ({ lr, best }: CompareRow): readonly string[] => (sweeping ? [`${lr} ${best ? '*' : ' '}`] : [])
  const all = [
    [
      'method',
      ...(sweeping ? ['rate  '] : []),
      'rank',
      'trained',
      'held-out loss',
      ...Object.keys(rows[0]?.metrics ?? {}),
      `saved bytes ${rows[0]?.savedBytesPerImage === undefined ? 'a token' : 'an image'}`,
      'peak memory',
      'a step',
    ],
    ...rows.map(row => [row.name, ...rate(row), ...cellsOf(row)]),
  ]
  const widths = all[0]!.map((_, column) => Math.max(...all.map(line => line[column]!.length)))
  const padded = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
  const lines = all.map(line => line.map(padded).join('  ').trimEnd())
  return [...lines, ...(sweeping ? ['* the best rate of its method'] : [])].join('\n')
}

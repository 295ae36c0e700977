import type { Spec } from 'vega'
import { alongX, colour, hoverMark } from './chart.ts'

/** A line of a chart: a number for some steps, or for other sizes. */
export interface Series {
  readonly name: string
  /** The colour's name in the page's style. */
  readonly colour: string
  readonly points: readonly (readonly [step: number, value: number])[]
  /** True if every point has a symbol, for a line of few. */
  readonly dots?: boolean
}

/** The texts and sizes of a chart of lines. */
export interface Lines {
  readonly series: readonly Series[]
  readonly title: string
  readonly height: number
  /** The last step, if it is known. */
  readonly steps?: number
  /** The sizes along the axis, by name, if they are no steps; each is twice the one before. */
  readonly along?: string
  /** True if the axis begins at 0. */
  readonly zero?: boolean
  /** The form of the axis' numbers, in d3's notation. */
  readonly format?: string
  readonly text: (value: number) => string
}

/** The colours of lines, in their order. */
export const lineColour = (i: number): string => ['kept', 'passing', 'gradients', 'fourth', 'fifth', 'sixth'][i % 6]!

/** Every k-th element, and the last one, so that about `most` are left. */
const some = <T>(all: readonly T[], most: number): readonly T[] => {
  const every = Math.ceil(all.length / most)
  return all.filter((_, i) => i % every === 0 || i === all.length - 1)
}

const says = ({ series, text, along }: Lines, step: number): string => {
  const known = series.flatMap(({ name, points }) => {
    const point = points.findLast(([at]) => at <= step)
    return point === undefined ? [] : [`${name} ${text(point[1])}`]
  })
  return [along === undefined ? `step ${step}` : `${step.toLocaleString('en')} ${along}`, ...known].join('\n')
}

/** A chart of lines over steps as a Vega specification. */
export const linesSpec =
  (lines: Lines) =>
  (_: number, narrow: boolean): Spec => {
    const { series, title, height, zero = false, format, along } = lines
    const finite = series.map(one => ({ ...one, points: one.points.filter(([, value]) => Number.isFinite(value)) }))
    const values = finite.flatMap(({ points }) => points.map(([, value]) => value))
    const at = finite.flatMap(({ points }) => points.map(([step]) => step))
    const [first, last] = [Math.min(...at), Math.max(lines.steps ?? 0, ...at)]
    const [low, high] = [Math.min(...values), Math.max(...values)]
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1
    const columns = some(
      [...new Set(at)].sort((a, b) => a - b),
      narrow ? 50 : 100,
    )
    const edge = (i: number, by: number): number => {
      const [here, next] = [columns[i]!, columns[i + by]]
      return next === undefined ? here : along === undefined ? (here + next) / 2 : Math.sqrt(here * next)
    }
    return {
      height,
      data: [
        ...finite.map(({ name, points }) => ({
          name: `line ${name}`,
          values: some(points, narrow ? 300 : 900).map(([step, value]) => ({ step, value })),
        })),
        {
          name: 'hovers',
          values: columns.map((step, i) => ({ from: edge(i, -1), to: edge(i, 1), says: says(lines, step) })),
        },
      ],
      scales: [
        {
          name: 'x',
          ...(along === undefined ? { type: 'linear' } : { type: 'log', base: 2 }),
          domain: [first, last === first ? first + 1 : last],
          range: 'width',
        },
        {
          name: 'y',
          type: 'linear',
          domain: [zero ? Math.min(0, low) : low - room, high + room],
          range: 'height',
          zero: false,
          nice: true,
        },
      ],
      axes: [
        {
          scale: 'y',
          orient: 'left',
          grid: true,
          tickCount: 4,
          title,
          domain: false,
          ticks: false,
          ...(format === undefined ? {} : { format }),
        },
        {
          scale: 'x',
          orient: 'bottom',
          title: along ?? 'step',
          format: ',d',
          ...(along === undefined ? { tickCount: narrow ? 4 : 6, tickMinStep: 1 } : { values: [...columns] }),
        },
      ],
      marks: [
        ...finite.map(({ name, colour: of }) => ({
          type: 'line' as const,
          aria: false,
          from: { data: `line ${name}` },
          encode: {
            enter: {
              x: alongX('step'),
              y: { scale: 'y', field: 'value' },
              stroke: { value: colour(of) },
              strokeWidth: { value: 2 },
            },
          },
        })),
        ...finite
          .filter(({ dots, points }) => dots === true || points.length === 1)
          .map(({ name, colour: of }) => ({
            type: 'symbol' as const,
            aria: false,
            from: { data: `line ${name}` },
            encode: {
              enter: {
                x: alongX('step'),
                y: { scale: 'y', field: 'value' },
                fill: { value: colour(of) },
                size: { value: 60 },
              },
            },
          })),
        hoverMark,
      ],
    }
  }

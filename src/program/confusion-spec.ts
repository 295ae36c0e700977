import type { Spec } from 'vega'
import type { ClassificationReport } from './classification.ts'

/** The confusion matrix of a report as a Vega specification: marks and data, without drawing. */

const ink = '#222'
/** The most classes whose cells hold their numbers, and whose names are all shown. */
const mostNumbers = 25
/** The largest side of the matrix, and of a cell, in pixels. */
const largestSide = 720
const largestCell = 40

interface Cell {
  readonly label: string
  readonly predicted: string
  readonly images: number
  /** The part of the images of the class. */
  readonly part: number
}

const cellsOf = ({ classes, confusions }: ClassificationReport): readonly Cell[] => {
  const all = new Map(classes.map(({ name, images }) => [name, images]))
  const right = classes.map(({ name, correct }) => ({ label: name, predicted: name, images: correct }))
  return [...right, ...confusions]
    .filter(({ images }) => images > 0)
    .map(cell => ({ ...cell, part: cell.images / all.get(cell.label)! }))
}

const percent = (part: number): string => `${(100 * part).toFixed(2)} %`

/**
 * The picture of a confusion matrix: a row for each class, a column for each prediction, coloured by the part of the
 * row.
 * @example await svgOf(confusionSpec(report))
 */
export const confusionSpec = (report: ClassificationReport): Spec => {
  const names = report.classes.map(({ name }) => name)
  const side = Math.min(largestSide, names.length * largestCell)
  const axis = { ticks: false, domain: false, labelLimit: 120, labelOverlap: names.length > mostNumbers }
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    width: side,
    height: side,
    padding: 12,
    background: 'white',
    title: {
      text: `top-1 ${percent(report.top1)}, top-5 ${percent(report.top5)} of ${report.images.toLocaleString('en')} images`,
      anchor: 'start',
      color: ink,
    },
    data: [{ name: 'cells', values: [...cellsOf(report)] }],
    scales: [
      { name: 'x', type: 'band', domain: [...names], range: 'width', padding: 0.04 },
      { name: 'y', type: 'band', domain: [...names], range: 'height', padding: 0.04 },
      { name: 'part', type: 'linear', domain: [0, 1], range: ['#e8eff8', '#1f5fa8'] },
    ],
    axes: [
      {
        ...axis,
        orient: 'bottom',
        scale: 'x',
        title: 'predicted',
        labelAngle: -90,
        labelAlign: 'right',
        labelBaseline: 'middle',
      },
      { ...axis, orient: 'left', scale: 'y', title: 'class' },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'cells' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'predicted' },
            y: { scale: 'y', field: 'label' },
            width: { scale: 'x', band: 1 },
            height: { scale: 'y', band: 1 },
            fill: { scale: 'part', field: 'part' },
          },
        },
      },
      ...(names.length > mostNumbers
        ? []
        : [
            {
              type: 'text' as const,
              from: { data: 'cells' },
              encode: {
                enter: {
                  x: { scale: 'x', field: 'predicted', band: 0.5 },
                  y: { scale: 'y', field: 'label', band: 0.5 },
                  align: { value: 'center' as const },
                  baseline: { value: 'middle' as const },
                  fontSize: { value: 11 },
                  fill: { signal: `datum.part > 0.5 ? 'white' : '${ink}'` },
                  text: { field: 'images' },
                },
              },
            },
          ]),
    ],
  }
}

import type { Spec } from 'vega'
import { svgOf } from '../src/verify/index.ts'
import { heading, ink, measurementIn, panelTitle, type Recorded } from './drawing.ts'
import { median } from './table.ts'

interface Bar {
  readonly method: string
  readonly by: 'Partensor' | 'PEFT'
  readonly seconds: number
  readonly megabytes: number
}

/** The contenders of the picture, by their names in the results. */
const shown = [
  ['PaCA', 'Partensor', 'SmolLM2, graph bf16: paca'],
  ['LoRA', 'Partensor', 'SmolLM2, graph bf16: lora'],
  ['LoRA', 'PEFT', 'PEFT lora'],
  ['DoRA', 'Partensor', 'SmolLM2, graph bf16: dora'],
  ['DoRA', 'PEFT', 'PEFT dora'],
] as const

const barsOf = (recorded: Recorded): readonly Bar[] =>
  shown.map(([method, by, name]) => {
    const { times, peakMegabytes } = measurementIn(recorded, name)
    return { method, by, seconds: median(times) / 1000, megabytes: peakMegabytes }
  })

const colors = ['#1f5fa8', '#d9822b']
const panel = { width: 250, height: 150, between: 60 } as const

type Group = NonNullable<Spec['marks']>[number]

/** A panel of bars with their numbers. */
const bars = (field: 'seconds' | 'megabytes', title: string, format: string, left: number): Group => ({
  type: 'group',
  encode: { enter: { x: { value: left }, width: { value: panel.width }, height: { value: panel.height } } },
  scales: [{ name: 'x', type: 'linear', domain: { data: 'bars', field }, range: [0, panel.width], zero: true }],
  title: panelTitle(title),
  marks: [
    {
      type: 'rect',
      from: { data: 'bars' },
      encode: {
        enter: {
          x: { scale: 'x', value: 0 },
          x2: { scale: 'x', field },
          y: { scale: 'y', field: 'label' },
          height: { scale: 'y', band: 1 },
          fill: { scale: 'color', field: 'by' },
        },
      },
    },
    {
      type: 'text',
      from: { data: 'bars' },
      encode: {
        enter: {
          x: { scale: 'x', field, offset: -5 },
          y: { scale: 'y', field: 'label', band: 0.5 },
          text: { signal: `format(datum.${field}, '${format}')` },
          align: { value: 'right' },
          baseline: { value: 'middle' },
          fill: { value: 'white' },
          fontSize: { value: 11 },
        },
      },
    },
  ],
})

const specOf = (recorded: Recorded): Spec => {
  return {
    background: 'white',
    // the widths of texts are not known here, so the room around the panels is fixed
    autosize: 'none',
    padding: { left: 116, top: 84, right: 20, bottom: 12 },
    width: 2 * panel.width + panel.between,
    height: panel.height,
    title: heading(recorded, 'A training step of SmolLM2-135M in bf16, 2 × 256 tokens, rank 8', 'whole processes'),
    data: [
      {
        name: 'bars',
        values: barsOf(recorded).map(bar => ({ ...bar, label: `${bar.method}, ${bar.by}` })),
      },
    ],
    scales: [
      { name: 'y', type: 'band', domain: { data: 'bars', field: 'label' }, range: [0, panel.height], padding: 0.15 },
      { name: 'color', type: 'ordinal', domain: ['Partensor', 'PEFT'], range: colors },
    ],
    axes: [
      { scale: 'y', orient: 'left', domain: false, ticks: false, labelColor: ink, labelFontSize: 11, labelPadding: 6 },
    ],
    marks: [
      bars('seconds', 'seconds for a step', '.2f', 0),
      bars('megabytes', 'peak memory, MB', ',.0f', panel.width + panel.between),
    ],
  }
}

/**
 * The picture of a recorded run, an SVG: the time and the peak memory of a step of PaCA, LoRA and DoRA, next to PEFT's.
 * Equal results give equal texts.
 * @throws {Error} for results without one of these
 * @example await writeFile('docs/beside-peft.svg', await pictureOf(JSON.parse(results)))
 */
export const pictureOf = async (recorded: Recorded): Promise<string> => svgOf(specOf(recorded))

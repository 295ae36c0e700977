import type { Spec } from 'vega'
import { svgOf } from '../src/verify/index.ts'
import { label, methods, mineIs, peerIs, peers, recomputations, shapeIs, shapes, type Place } from './cases/memory.ts'
import { heading, ink, measurementIn, panelTitle, type Recorded } from './drawing.ts'
import { median } from './table.ts'

interface Point {
  readonly series: string
  /** Its place among the points of its series, from the one that recomputes least. */
  readonly order: number
  readonly what: string
  readonly seconds: number
  readonly megabytes: number
}
type Panel = (typeof shapes)[number]

const pointsOf = (recorded: Recorded, place: Place, shape: Panel): readonly Point[] => {
  const point = (series: string, order: number, what: string, name: string): Point => {
    const { times, facts } = measurementIn(recorded, name)
    return { series, order, what, seconds: median(times) / 1000, megabytes: Number(facts['stepMegabytes']) }
  }
  return [
    ...methods.flatMap(method =>
      recomputations.map((recomputation, i) =>
        point(label[method], i, recomputation, mineIs(place, method, recomputation, shape)),
      ),
    ),
    ...peers.map((peer, i) =>
      point('PEFT LoRA', i, i === 0 ? 'as it is' : 'checkpointing, loss in pieces', peerIs(place, shape, peer)),
    ),
  ]
}

const series = [label.paca, label.lora, 'PEFT LoRA'] as const
const colors = ['#1f5fa8', '#5b9a4a', '#d9822b']
const panel = { width: 290, height: 210, between: 70 } as const

type Group = NonNullable<Spec['marks']>[number]

/** The points of one shape of batches, those of a method joined by a line. */
const scatter = (points: readonly Point[], title: string, at: number): Group => ({
  type: 'group',
  encode: {
    enter: {
      x: { value: at * (panel.width + panel.between) },
      width: { value: panel.width },
      height: { value: panel.height },
    },
  },
  // the grid of an axis is as wide as these say
  signals: [
    { name: 'width', value: panel.width },
    { name: 'height', value: panel.height },
  ],
  data: [{ name: 'points', values: [...points] }],
  scales: [
    {
      name: 'x',
      type: 'linear',
      domain: { data: 'points', field: 'megabytes' },
      range: [0, panel.width],
      zero: true,
      nice: true,
    },
    {
      name: 'y',
      type: 'linear',
      domain: { data: 'points', field: 'seconds' },
      range: [panel.height, 0],
      zero: true,
      nice: true,
    },
  ],
  axes: [
    {
      scale: 'x',
      orient: 'bottom',
      title: 'peak of the steps, MB',
      tickCount: 5,
      labelColor: ink,
      titleColor: ink,
      titleFontWeight: 'normal',
    },
    {
      scale: 'y',
      orient: 'left',
      title: at === 0 ? 'seconds for a step' : '',
      tickCount: 5,
      grid: true,
      gridColor: '#eee',
      labelColor: ink,
      titleColor: ink,
      titleFontWeight: 'normal',
    },
  ],
  title: panelTitle(title),
  marks: [
    {
      type: 'group',
      from: { facet: { name: 'line', data: 'points', groupby: 'series' } },
      marks: [
        {
          type: 'line',
          from: { data: 'line' },
          encode: {
            enter: {
              x: { scale: 'x', field: 'megabytes' },
              y: { scale: 'y', field: 'seconds' },
              stroke: { scale: 'color', field: 'series' },
              strokeWidth: { value: 1.5 },
            },
          },
        },
      ],
    },
    {
      type: 'symbol',
      from: { data: 'points' },
      encode: {
        enter: {
          x: { scale: 'x', field: 'megabytes' },
          y: { scale: 'y', field: 'seconds' },
          fill: { scale: 'color', field: 'series' },
          shape: { scale: 'shape', field: 'order' },
          size: { value: 60 },
        },
      },
    },
  ],
})

/**
 * The picture of a recorded run of `memory-graph` or `memory-wasm`, an SVG: the time of a step against the peak of the
 * steps, from as it is to what recomputes more. Equal results give equal texts.
 * @throws {Error} for results without one of these
 * @example await writeFile('docs/memory-graph.svg', await curveOf(JSON.parse(results), places[0]))
 */
export const curveOf = async (recorded: Recorded, place: Place): Promise<string> => {
  const spec: Spec = {
    background: 'white',
    // the widths of texts are not known here, so the room around the panels is fixed
    autosize: 'none',
    padding: { left: 56, top: 84, right: 180, bottom: 46 },
    width: shapes.length * panel.width + (shapes.length - 1) * panel.between,
    height: panel.height,
    title: heading(
      recorded,
      `Steps of SmolLM2-135M on ${place.name} in ${place.precision}, rank 8: time against memory`,
      'processes after loading',
    ),
    scales: [
      { name: 'color', type: 'ordinal', domain: [...series], range: colors },
      {
        name: 'shape',
        type: 'ordinal',
        domain: recomputations.map((_, i) => i),
        range: ['circle', 'square', 'triangle-up'],
      },
      { name: 'meaning', type: 'ordinal', domain: [...recomputations], range: ['circle', 'square', 'triangle-up'] },
    ],
    legends: [
      { fill: 'color', orient: 'right', labelColor: ink, labelLimit: 0 },
      { shape: 'meaning', orient: 'right', labelColor: ink, labelLimit: 0 },
    ],
    marks: shapes.map((shape, at) => scatter(pointsOf(recorded, place, shape), `${shapeIs(shape)} tokens`, at)),
  }
  return svgOf(spec)
}

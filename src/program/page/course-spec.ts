import type { Spec } from 'vega'
import type { Course, Moment } from '../../compile/index.ts'
import { bytesText, byteUnit } from '../../text/index.ts'
import { alongX, colour, hoverMark } from './chart.ts'

/** The memory over a step as a Vega specification: a stack of areas, and what holds at each time. */

/** The kinds of memory, from the bottom of the stack. */
export const kinds = ['weights', 'state', 'kept', 'gradients', 'passing'] as const
type Kind = (typeof kinds)[number]
type Amounts = Readonly<Record<Kind, number>>

/** The bytes that are held all the time. */
export interface Floor {
  readonly weights: number
  readonly state: number
}

const height = 300
/** The narrowest pass that has room for its name. */
const leastRoom = 64

const amountsAt = ({ weights, state }: Floor, { kept, gradients, passing }: Moment): Amounts => ({
  weights,
  state,
  kept,
  gradients,
  passing,
})
export const totalAt = (floor: Floor, moment: Moment): number =>
  kinds.reduce((sum, kind) => sum + amountsAt(floor, moment)[kind], 0)

/** The fullest moment of a course. */
export const fullestOf = (floor: Floor, { moments }: Course): Moment =>
  moments.reduce((a, b) => (totalAt(floor, b) > totalAt(floor, a) ? b : a))

const saysAt = (course: Course, floor: Floor, moment: Moment): string => {
  const amounts = amountsAt(floor, moment)
  const pass = moment.at <= course.loss ? 'forward' : 'backward'
  const held = kinds.map(kind => `${kind} ${bytesText(amounts[kind])}`).join('\n')
  return `${pass} pass, ${moment.what}: ${bytesText(totalAt(floor, moment))}\n${held}`
}

/** Every k-th moment, so that at most `most` are left; the fullest is always among them. */
const some = (floor: Floor, course: Course, most: number): readonly Moment[] => {
  const every = Math.ceil(course.moments.length / most)
  const fullest = fullestOf(floor, course)
  return course.moments.filter((moment, i) => i % every === 0 || moment === fullest)
}

/** The picture of a course over weights and state. */
export const courseSpec =
  (course: Course, floor: Floor) =>
  (width: number, narrow: boolean): Spec => {
    const most = totalAt(floor, fullestOf(floor, course))
    const { unit, bytes } = byteUnit(most)
    const shown = some(floor, course, narrow ? 160 : 480)
    const stacked = kinds.map((kind, k) => ({
      name: kind,
      values: shown.map(moment => {
        const amounts = amountsAt(floor, moment)
        const below = kinds.slice(0, k).reduce((sum, other) => sum + amounts[other], 0)
        return { at: moment.at, from: below / bytes, to: (below + amounts[kind]) / bytes }
      }),
    }))
    const columns = some(floor, course, narrow ? 60 : 120)
    const hovers = columns.map((moment, i) => ({
      from: moment.at,
      to: columns[i + 1]?.at ?? course.instructions,
      says: saysAt(course, floor, moment),
    }))
    const passes = [
      { name: 'forward', from: 0, to: course.loss },
      { name: 'backward', from: course.loss, to: course.instructions },
    ].filter(({ from, to }) => ((to - from) / course.instructions) * width > leastRoom)
    return {
      height,
      data: [...stacked, { name: 'hovers', values: hovers }, { name: 'passes', values: passes }],
      scales: [
        { name: 'x', type: 'linear', domain: [0, course.instructions], range: 'width' },
        { name: 'y', type: 'linear', domain: [0, (most / bytes) * 1.12], range: 'height', nice: true },
      ],
      axes: [
        { scale: 'y', orient: 'left', grid: true, tickCount: 5, title: unit, domain: false, ticks: false },
        { scale: 'x', orient: 'bottom', title: 'instructions of the step', tickCount: narrow ? 4 : 8, format: ',d' },
      ],
      marks: [
        ...kinds.map(kind => ({
          type: 'area' as const,
          aria: false,
          from: { data: kind },
          encode: {
            enter: {
              interpolate: { signal: "'step-after'" },
              x: alongX('at'),
              y: { scale: 'y', field: 'from' },
              y2: { scale: 'y', field: 'to' },
              fill: { value: colour(kind) },
            },
          },
        })),
        {
          type: 'rule',
          aria: false,
          encode: {
            enter: {
              x: { scale: 'x', value: course.loss },
              y: { value: 0 },
              y2: { signal: 'height' },
              stroke: { value: colour('ink') },
              strokeDash: { value: [3, 3] },
            },
          },
        },
        {
          type: 'text',
          aria: false,
          from: { data: 'passes' },
          encode: {
            enter: {
              x: { signal: "(scale('x', datum.from) + scale('x', datum.to)) / 2" },
              y: { value: 4 },
              align: { value: 'center' },
              baseline: { value: 'top' },
              text: { field: 'name' },
              fill: { value: colour('ink') },
              font: { value: 'system-ui, sans-serif' },
              fontSize: { value: 13 },
            },
          },
        },
        hoverMark,
      ],
    }
  }

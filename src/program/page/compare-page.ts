import type { Explanation } from '../../compile/index.ts'
import { recordOf } from '../../tune/index.ts'
import type { CompareRow } from '../compare/table.ts'
import { showSeconds } from '../progress.ts'
import { bytesText } from '../../text/index.ts'
import { chart, full, key } from './chart.ts'
import { markup, none, type Html } from './html.ts'
import { lineColour, linesSpec } from './lines-spec.ts'
import { memorySection, type HeldBy } from './memory-section.ts'
import { pageText, section } from './shell.ts'

/** A method of a comparison at its best rate, the plan of its step, and the mean loss of each step of its runs. */
export interface Compared {
  readonly row: CompareRow
  readonly plan: Pick<Explanation, 'weights' | 'state' | 'saved' | 'peak'>
  readonly curve: readonly number[]
}

/** The facts that all methods of a comparison share. */
export interface Common {
  readonly model: string
  /** The sizes of a step, as `2 × 256 tokens`. */
  readonly sizes: string
  readonly lossBefore: number
}

const nameOf = ({ row: { method, select } }: Compared): string =>
  `${recordOf(method).title}${select === undefined ? '' : ` (${select})`}`
const least = (all: readonly Compared[], of: (one: Compared) => number): Compared =>
  all.reduce((a, b) => (of(b) < of(a) ? b : a))

const findingOf = (all: readonly Compared[]): string => {
  const ordered = [...all].sort((a, b) => a.plan.saved - b.plan.saved)
  if (all.length <= 3)
    return ordered.map((one, i) => `${nameOf(one)}${i === 0 ? ' keeps' : ''} ${bytesText(one.plan.saved)}`).join(', ')
  const best = least(all, ({ row }) => row.loss)
  return `${nameOf(ordered[0]!)} keeps the least for the backward pass, ${bytesText(ordered[0]!.plan.saved)}; ${nameOf(best)} has the lowest held-out loss, ${best.row.loss.toFixed(4)}`
}

/** A column of the table; the least value is the best, if there is one. */
interface Column {
  readonly title: string
  readonly of: (one: Compared) => number
  readonly text: (one: Compared) => string
  readonly best?: false
}

const columns: readonly Column[] = [
  {
    title: 'held-out loss',
    of: ({ row }) => row.loss,
    text: ({ row: { loss, deviation } }) =>
      `${loss.toFixed(4)}${deviation === null ? '' : ` ± ${deviation.toFixed(4)}`}`,
  },
  {
    title: 'trained',
    of: ({ row }) => row.trainable,
    text: ({ row }) => row.trainable.toLocaleString('en'),
    best: false,
  },
  { title: 'kept, by the plan', of: ({ plan }) => plan.saved, text: ({ plan }) => bytesText(plan.saved) },
  {
    title: 'peak of the process',
    of: ({ row }) => row.peakMemory,
    text: ({ row }) => bytesText(row.peakMemory),
  },
  {
    title: 'a step',
    of: ({ row }) => row.stepSeconds,
    text: ({ row: { stepSeconds } }) =>
      stepSeconds < 1 ? `${(1000 * stepSeconds).toFixed(0)} ms` : showSeconds(stepSeconds),
  },
]

const table = (all: readonly Compared[]): Html =>
  markup`<table class="cards">
      <thead>
        <tr>
          <th scope="col">method</th>
          ${columns.map(({ title }) => markup`<th scope="col" class="number">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${all.map(
          one =>
            markup`<tr>
              <th scope="row">${nameOf(one)}${one.row.rank === null ? '' : `, rank ${one.row.rank}`}</th>
              ${columns.map(({ title, of, text, best }) => {
                const isBest = best !== false && all.length > 1 && of(least(all, of)) === of(one)
                return markup`<td class="number" data-of="${title}">
                  ${isBest ? markup`<span class="best">${text(one)} ★</span>` : text(one)}
                </td>`
              })}
            </tr> `,
        )}
      </tbody>
    </table>
    <p class="note">★ the best of its column. Every method is shown at its best learning rate.</p> `

const heldBy = (one: Compared): HeldBy => {
  const { weights, state, saved, peak } = one.plan
  return { name: nameOf(one), weights, state, kept: Math.min(saved, peak), passing: Math.max(0, peak - saved) }
}

const curvesSection = async (all: readonly Compared[], lossBefore: number): Promise<Html> => {
  const series = all.map((one, i) => ({
    name: nameOf(one),
    colour: lineColour(i),
    points: one.curve.map((loss, step) => [step + 1, loss] as const),
  }))
  if (series.every(({ points }) => points.length < 2)) return none
  const best = least(all, ({ row }) => row.loss)
  return section(
    `${nameOf(best)} has the lowest held-out loss: ${best.row.loss.toFixed(4)}, after ${lossBefore.toFixed(4)} before training`,
    await chart(
      'The loss of each step by method',
      full,
      linesSpec({ series, title: 'loss of the batch, mean of the seeds', height: 280, text: n => n.toFixed(4) }),
    ),
    key(series.map(({ name, colour: of }) => ({ colour: of, name }))),
  )
}

/**
 * The page of a comparison: parameters, memory, time and losses of methods side by side, the best ones marked.
 * @example await comparePage(compared, { model: 'SmolLM2', sizes: '2 × 256 tokens', lossBefore: 3.1 })
 */
export const comparePage = async (all: readonly Compared[], common: Common): Promise<string> =>
  pageText({
    title: findingOf(all),
    lead: `Side by side on ${common.model}, ${common.sizes} in a micro-batch, at about equally many trained parameters.`,
    body: [table(all), memorySection(all.map(heldBy)), await curvesSection(all, common.lossBefore)],
  })

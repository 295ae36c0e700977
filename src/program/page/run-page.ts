import type { Evaluation } from '../../train/finetune.ts'
import type { FinetuneEvent, StartEvent, DoneEvent } from '../events.ts'
import { countOf, type Followed } from '../follow/follower.ts'
import { showSeconds } from '../progress.ts'
import { bytesText, byteUnit } from '../../text/index.ts'
import { chart, half, key } from './chart.ts'
import { markup, none, type Html } from './html.ts'
import { linesSpec, type Lines, type Series } from './lines-spec.ts'
import { figures, pageText, section, type Figure } from './shell.ts'

type Step = Extract<FinetuneEvent, { readonly event: 'step' }>

/** A question with its answers before and after a run. */
export interface Answer {
  readonly question: string
  readonly before: string
  readonly after: string
  /** The answer that the data would give, if there is one. */
  readonly expected?: string
}

/** A run so far. */
export interface RunSoFar {
  /** The method and the model, in words. */
  readonly subject: string
  readonly start?: StartEvent
  readonly steps: readonly (Step & { readonly memory: number })[]
  readonly evaluated: readonly (readonly [step: number, evaluation: Evaluation | Evaluation<'images'>])[]
  readonly warnings: readonly string[]
  readonly done?: DoneEvent
  readonly answers?: readonly Answer[]
}

/** A run before its first event. */
export const noRun = (subject: string): RunSoFar => ({ subject, steps: [], evaluated: [], warnings: [] })

/** A run after one more event. */
export const runAfter = (run: RunSoFar, { event, step, memory }: Followed): RunSoFar => {
  switch (event.event) {
    case 'start':
      return { ...run, start: event }
    case 'step':
      return { ...run, steps: [...run.steps, { ...event, memory }] }
    case 'evaluated':
      return { ...run, evaluated: [...run.evaluated, [step, event]] }
    case 'warning':
      return { ...run, warnings: [...run.warnings, event.message] }
    case 'done':
      return { ...run, done: event }
    default:
      return run
  }
}

const loss = (n: number): string => n.toFixed(n < 10 ? 3 : 2)
const number = (n: number): string => n.toLocaleString('en')

const titleOf = ({ steps, evaluated, start, done }: RunSoFar, ended: boolean): string => {
  const [first, last] = [steps[0], steps.at(-1)]
  if (first === undefined || last === undefined)
    return ended ? 'The run ended before its first step' : 'The run has not made a step yet'
  const made = `${steps.length} step${steps.length === 1 ? '' : 's'}`
  const held = evaluated.map(([, evaluation]) => evaluation.loss)
  const fell = (before: number, after: number): string =>
    `${after <= before ? 'fell' : 'rose'} from ${loss(before)} to ${loss(after)}`
  if (held.length > 1) return `The held-out loss ${fell(held[0]!, held.at(-1)!)} in ${made}`
  if (done !== undefined) return `The loss ${fell(first.loss, last.loss)} in ${made}`
  if (ended) return `The run ended after step ${last.step}, at a loss of ${loss(last.loss)}`
  return `Step ${last.step} of ${start?.steps ?? '…'}: the loss is ${loss(last.loss)}, after ${loss(first.loss)} at first`
}

const figuresOf = ({ start, steps, done }: RunSoFar): readonly Figure[] => {
  const timed = steps.length > 1 ? steps.slice(1) : steps
  const seconds = timed.reduce((sum, step) => sum + step.seconds, 0)
  const [count, unit] = [timed.reduce((sum, step) => sum + countOf(step)[0], 0), countOf(steps[0] ?? { tokens: 0 })[1]]
  const process = Math.max(0, ...steps.map(({ memory }) => memory), done?.peakMemory ?? 0)
  return [
    ...(start === undefined
      ? []
      : [
          {
            name: 'trained',
            value: number(start.trainable),
            note: `of ${number(start.parameters)} parameters (${((100 * start.trainable) / start.parameters).toFixed(2)} %)`,
          },
          { name: 'memory of the plan', value: bytesText(start.bytes), note: 'a step at most, with weights' },
        ]),
    ...(process === 0 ? [] : [{ name: 'memory of the process', value: bytesText(process), note: 'the most so far' }]),
    ...(steps.length === 0
      ? []
      : [
          { name: 'speed', value: `${number(Math.round(count / seconds))} ${unit}/s`, note: 'after the first step' },
          { name: 'a step takes', value: showSeconds(seconds / timed.length), note: 'on average' },
        ]),
  ]
}

/** A chart with a title and, if it has several lines, a key. */
const panel = async (title: string, lines: Lines): Promise<Html> => {
  const shown = lines.series.filter(({ points }) => points.some(([, value]) => Number.isFinite(value)))
  if (shown.length === 0) return none
  const drawn = await chart(`${title} by step`, half, linesSpec({ ...lines, series: shown }))
  return markup`<div>
    <h3>${title}</h3>
    ${drawn}${shown.length > 1 ? key(shown.map(({ name, colour }) => ({ colour, name }))) : none}
  </div> `
}

const charts = async ({ start, steps, evaluated }: RunSoFar): Promise<Html> => {
  if (steps.length === 0) return none
  const line = (name: string, of: (step: RunSoFar['steps'][number]) => number, colour = 'kept'): Series => ({
    name,
    colour,
    points: steps.map(step => [step.step, of(step)] as const),
  })
  const unit = countOf(steps[0]!)[1]
  const bytes = byteUnit(Math.max(...steps.map(({ memory }) => memory), start?.bytes ?? 0))
  const common = { height: 180, ...(start === undefined ? {} : { steps: start.steps }) }
  const short = (n: number): string => String(Number(n.toPrecision(4)))
  const heldOut: Series = {
    name: 'held out',
    colour: 'passing',
    dots: true,
    points: evaluated.map(([at, evaluation]) => [at, evaluation.loss] as const),
  }
  const plan: Series = {
    name: 'plan of a step',
    colour: 'passing',
    points: start === undefined ? [] : steps.map(({ step }) => [step, start.bytes / bytes.bytes] as const),
  }
  const panels = [
    await panel('Loss', { ...common, series: [line('batch', step => step.loss), heldOut], title: 'loss', text: loss }),
    await panel('Norm of the gradient', {
      ...common,
      series: [line('norm', step => step.gradNorm)],
      title: 'before clipping',
      zero: true,
      text: short,
    }),
    await panel('Learning rate', {
      ...common,
      series: [line('rate', step => step.lr)],
      title: 'of the update',
      zero: true,
      text: short,
    }),
    await panel('Speed', {
      ...common,
      series: [line('speed', step => countOf(step)[0] / step.seconds)],
      title: `${unit} per second`,
      zero: true,
      format: ',d',
      text: n => `${number(Math.round(n))} ${unit}/s`,
    }),
    await panel('Memory', {
      ...common,
      series: [line('process', step => step.memory / bytes.bytes), plan],
      title: bytes.unit,
      zero: true,
      text: n => bytesText(n * bytes.bytes),
    }),
  ]
  return markup`<div class="panels">${panels}</div> `
}

const answersSection = (answers: readonly Answer[]): Html =>
  section(
    'What it answered before, and what it answers now',
    markup`<table class="cards">
      <thead>
        <tr>
          <th scope="col">asked</th>
          <th scope="col">before</th>
          <th scope="col">after</th>
          <th scope="col">expected</th>
        </tr>
      </thead>
      <tbody>
        ${answers.map(
          ({ question, before, after, expected = '' }) =>
            markup`<tr>
              <th scope="row">${question}</th>
              <td data-of="before:">${before}</td>
              <td data-of="after:">${after}</td>
              <td data-of="expected:">${expected}</td>
            </tr> `,
        )}
      </tbody>
    </table> `,
  )

/**
 * The page of a run so far; until it has ended, a browser reads it again every few seconds.
 * @example await runPage(runAfter(noRun('PaCA on SmolLM2'), followed), false)
 */
export const runPage = async (run: RunSoFar, ended: boolean): Promise<string> => {
  const { subject, start, steps, warnings, answers, done } = run
  const sizes =
    start === undefined
      ? ''
      : `, ${start.steps} steps of ${start.batch}${start.seq === undefined ? (start.unit === 'images' ? ' images' : ' rows') : ` × ${start.seq} ${start.unit}`} on ${start.target}`
  const isWhole = done?.interrupted === false || (start !== undefined && steps.length === start.steps)
  const state = ended ? (isWhole ? '' : ' It did not come to its end.') : ' It goes on.'
  return pageText({
    title: titleOf(run, ended),
    lead: `${subject}${sizes}.${state}`,
    body: [
      figures(figuresOf(run)),
      await charts(run),
      answers === undefined ? none : answersSection(answers),
      warnings.length === 0
        ? none
        : section(
            'Warnings',
            markup`<ul>
              ${warnings.map(warning => markup`<li>${warning}</li>`)}
            </ul>`,
          ),
    ],
    ...(ended ? {} : { refresh: 5 }),
  })
}

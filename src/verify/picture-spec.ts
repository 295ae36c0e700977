import type { Spec } from 'vega'
import type { ConvergenceCertificate, Curvature } from './certificate-format.ts'
import { largest, least, type DescentSummary, type StepRecord } from './descent.ts'

/** The picture of a certificate as a Vega specification: marks and data, without drawing. */

const width = 640
const upper = 240
const lower = 170
const between = 50
const ink = '#222'
const grid = '#e4e4e4'
const colors = { loss: '#1f5fa8', bound: '#d9822b', slack: '#2e7d4f', violated: '#c62828' }

/** The number of steps up to which every step has a symbol; in a longer run, only violations do. */
const mostPoints = 200

/** A number in the form that a title shows. */
const shortNumber = (x: number): string =>
  x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(2) : String(Number(x.toPrecision(4)))

const curvatureText = ({ kind, value }: Curvature): string =>
  kind === 'proved' ? `L = ${shortNumber(value)} (a proved bound)` : `L ≈ ${shortNumber(value)} (estimated)`
const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`
const ratesText = (steps: readonly StepRecord[]): string => {
  const rates = steps.map(({ rate }) => rate)
  const low = least(rates)
  const high = largest(rates)
  return low === high ? `η = ${shortNumber(high)}` : `η = ${shortNumber(low)} to ${shortNumber(high)}`
}

const cut = (name: string): string => (name.length > 48 ? `…${name.slice(-47)}` : name)
/** The titles above the picture: the subject, the rate, ηL, and how the steps compare with the theorem. */
const titlesOf = ({
  subject,
  optimizer,
  curvature,
  steps,
  summary,
}: ConvergenceCertificate): readonly [string, string, string] => [
  `Descent of ${cut(subject.model)}, ${subject.method}, ${optimizer.name}, ${subject.target}`,
  `${ratesText(steps)}, ${curvatureText(curvature)}, ηL = ${shortNumber(summary.rateTimesCurvature)}` +
    (summary.largestRate === null ? '' : `, 2/L = ${shortNumber(summary.largestRate)}`),
  outcome(summary),
]
const outcome = ({ steps, descended, ascended, violations, withinRounding }: DescentSummary): string =>
  `${plural(steps, 'step')}: ${descended} descended, ${ascended} ascended; ${violations === 0 ? 'no violation' : plural(violations, 'violation')}` +
  (withinRounding === 0 ? '' : `, ${withinRounding} within rounding`)

interface SlackScale {
  readonly type: 'log' | 'symlog'
  readonly constant: number
  readonly ticks: readonly number[]
}
/**
 * The scale of the slack: logarithmic if all of it is above 0; otherwise linear around 0 and logarithmic beyond
 * (symlog).
 */
const slackScale = (slacks: readonly number[]): SlackScale => {
  const sizes = slacks.map(Math.abs).filter(x => x > 0)
  if (sizes.length === 0) return { type: 'symlog', constant: 1, ticks: [0] }
  const most = Math.log10(largest(sizes))
  const from = Math.max(Math.floor(Math.log10(least(sizes))), Math.floor(most) - 8)
  const to = Math.ceil(most)
  const every = Math.ceil((to - from + 1) / 6)
  const powers = Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => Number(`1e${to - i * every}`))
  if (slacks.every(x => x > 0)) return { type: 'log', constant: 1, ticks: powers }
  // the least power is too near to 0 for a label of its own
  const apart = powers.filter(x => powers.length < 3 || x > Number(`1e${from}`))
  return { type: 'symlog', constant: Number(`1e${from}`), ticks: [...apart.map(x => -x), 0, ...apart] }
}

/** The steps at which the axis has ticks: whole numbers, about ten at most. */
const stepTicks = (count: number): readonly number[] => {
  const power = 10 ** Math.floor(Math.log10(Math.max(count / 10, 1)))
  const every = [1, 2, 5, 10].map(k => k * power).find(k => count / k <= 10) ?? power
  return Array.from({ length: Math.floor(count / every) + 1 }, (_, i) => i * every)
}

type Mark = NonNullable<Spec['marks']>[number]
type Scale = NonNullable<Spec['scales']>[number]
type Axis = NonNullable<Spec['axes']>[number]

const at = (y: string, field: string) => ({ x: { scale: 'x', field: 'at' }, y: { scale: y, field } })
const line = (data: string, y: string, field: string, color: string, dash: readonly number[] = []): Mark => ({
  type: 'line',
  from: { data },
  encode: {
    enter: { ...at(y, field), stroke: { value: color }, strokeWidth: { value: 1.5 }, strokeDash: { value: [...dash] } },
  },
})
/**
 * One symbol for each step: a red cross if it violates the inequality, hollow if rounding does not allow a decision.
 */
const points = (y: string, field: string, name: string, color: string): Mark => ({
  type: 'symbol',
  from: { data: 'marked' },
  encode: {
    enter: {
      ...at(y, field),
      shape: [{ test: 'datum.violated', value: 'cross' }, { value: 'circle' }],
      size: [{ test: 'datum.violated', value: 90 }, { value: 26 }],
      fill: [
        { test: 'datum.violated', value: colors.violated },
        { test: 'datum.undecided', value: 'white' },
        { value: color },
      ],
      stroke: [{ test: 'datum.violated', value: colors.violated }, { value: color }],
      description: {
        signal: `'step ' + datum.step + ': ${name} ' + datum.${field} + (datum.violated ? ', violation' : '')`,
      },
    },
  },
})
const axes = (y: string, title: string, steps: readonly number[], left: Partial<Axis> = {}): Axis[] => [
  { scale: 'x', orient: 'bottom', title: 'updates', values: [...steps], format: 'd' },
  { scale: y, orient: 'left', title, grid: true, ...left },
]

const legend = (name: string, range: readonly string[]): Scale => ({
  name,
  type: 'ordinal',
  domain: ['loss', 'bound', 'slack', 'within rounding', 'violation'],
  range: [...range],
})

const slackAxis = (slacks: readonly number[]): { readonly scale: Scale; readonly axis: Partial<Axis> } => {
  const { type, constant, ticks } = slackScale(slacks)
  const domain = { data: 'steps', field: 'slack' }
  const range: [number, number] = [lower, 0]
  return {
    scale:
      type === 'log'
        ? { name: 'slacks', type, domain, range, nice: true }
        : { name: 'slacks', type, constant, domain, range, zero: true },
    axis: {
      values: [...ticks],
      encode: { labels: { update: { text: { signal: "datum.value === 0 ? '0' : format(datum.value, '.0e')" } } } },
    },
  }
}

/**
 * The specification of the picture. Its data are the steps themselves; the loss and the bound of step k are drawn at k
 * + 1 updates.
 */
export const pictureSpec = (certificate: ConvergenceCertificate): Spec => {
  const { steps } = certificate
  const [title, ...subtitle] = titlesOf(certificate)
  const ticks = stepTicks(steps.length)
  const values = steps.map(({ step, next, bound, slack, verdict }) => ({
    step,
    at: step + 1,
    next,
    bound,
    slack,
    violated: verdict === 'violated',
    undecided: verdict === 'within rounding',
  }))
  const marked = steps.length > mostPoints ? values.filter(({ violated }) => violated) : values
  const losses = [...steps.slice(0, 1).map(({ loss }) => ({ at: 0, next: loss })), ...values]
  const slack = slackAxis(steps.map(step => step.slack))
  const panel = (y: number, height: number) => ({
    enter: { y: { value: y }, width: { value: width }, height: { value: height } },
  })
  return {
    width,
    height: upper + between + lower,
    padding: 12,
    background: 'white',
    autosize: 'pad',
    title: {
      text: title,
      subtitle,
      anchor: 'start',
      frame: 'group',
      color: ink,
      subtitleColor: ink,
      fontSize: 15,
      subtitleFontSize: 12,
      offset: 14,
    },
    config: {
      axis: {
        labelColor: ink,
        titleColor: ink,
        domainColor: ink,
        tickColor: ink,
        gridColor: grid,
        labelFontSize: 11,
        titleFontSize: 12,
      },
    },
    data: [
      { name: 'steps', values },
      { name: 'losses', values: losses },
      { name: 'marked', values: marked },
    ],
    scales: [
      { name: 'x', type: 'linear', domain: [0, steps.length], range: 'width' },
      {
        name: 'losses',
        type: 'linear',
        range: [upper, 0],
        nice: true,
        zero: false,
        domain: {
          fields: [
            { data: 'losses', field: 'next' },
            { data: 'steps', field: 'bound' },
          ],
        },
      },
      slack.scale,
      legend('fills', [colors.loss, colors.bound, colors.slack, 'white', colors.violated]),
      legend('strokes', [colors.loss, colors.bound, colors.slack, colors.slack, colors.violated]),
      legend('shapes', ['circle', 'circle', 'circle', 'circle', 'cross']),
    ],
    legends: [
      {
        fill: 'fills',
        stroke: 'strokes',
        shape: 'shapes',
        orient: 'bottom',
        direction: 'horizontal',
        labelColor: ink,
        labelFontSize: 11,
      },
    ],
    marks: [
      {
        type: 'group',
        encode: panel(0, upper),
        axes: axes('losses', 'loss of the batch', ticks, { format: '.5~g' }),
        marks: [
          line('steps', 'losses', 'bound', colors.bound, [5, 3]),
          line('losses', 'losses', 'next', colors.loss),
          points('losses', 'next', 'loss', colors.loss),
        ],
      },
      {
        type: 'group',
        encode: panel(upper + between, lower),
        axes: axes('slacks', 'slack: bound − loss', ticks, slack.axis),
        marks: [line('steps', 'slacks', 'slack', colors.slack), points('slacks', 'slack', 'slack', colors.slack)],
      },
    ],
  }
}

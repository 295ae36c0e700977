import type { Course } from '../../compile/index.ts'
import { bytesText, byteUnit } from '../../text/index.ts'
import { recordOf } from '../../tune/index.ts'
import type { ModelPlan, PlanResult, RefusedPlan, Sweep } from '../plan-types.ts'
import { recomputedText, sizesText } from '../plan-words.ts'
import { chart, full, key } from './chart.ts'
import { courseSection } from './course-section.ts'
import { markup, none, type Html } from './html.ts'
import { keptSection } from './kept-section.ts'
import { linesSpec, type Series } from './lines-spec.ts'
import { memorySection, type HeldBy } from './memory-section.ts'
import { figures, pageText, section, type Figure } from './shell.ts'

/** The facts about a plan that it does not hold itself. */
export interface PlannedAs {
  readonly model: string
  readonly sweep: Sweep | undefined
  readonly course: Course | undefined
}

const whole = (n: number): string => n.toLocaleString('en')
const titleOf = ({ method }: ModelPlan): string => recordOf(method).title
const lead = (plan: ModelPlan, model: string): string =>
  `${model}, ${sizesText(plan)} on ${plan.target} in ${plan.precision}. Known before anything runs, from the shapes alone.`

const fitting = ({ device, maxBatch, maxSeq, batch, seq }: ModelPlan): readonly Figure[] => [
  ...(maxBatch === undefined
    ? []
    : [
        {
          name: `largest batch on ${device!.name}`,
          value: maxBatch === 0 ? 'none' : whole(maxBatch),
          note: seq === undefined ? 'images' : `rows of ${whole(seq)} tokens`,
        },
      ]),
  ...(maxSeq === undefined
    ? []
    : [
        {
          name: `longest rows on ${device!.name}`,
          value: maxSeq === 0 ? 'none' : whole(maxSeq),
          note: `tokens, in a batch of ${whole(batch)}`,
        },
      ]),
]

const summary = (plan: ModelPlan): Html => {
  const { trainable, parameters, weights, state, saved, passing, flops } = plan
  return figures([
    {
      name: 'trained',
      value: whole(trainable),
      note: `of ${whole(parameters)} parameters (${((100 * trainable) / parameters).toFixed(2)} %)`,
    },
    { name: 'weights', value: bytesText(weights) },
    { name: 'optimizer state', value: bytesText(state) },
    { name: 'kept', value: bytesText(saved), note: 'from forward to backward' },
    { name: 'passing', value: bytesText(passing), note: 'beside all others, at most' },
    {
      name: 'operations',
      value: (flops.forward + flops.backward).toExponential(2),
      note: `${flops.forward.toExponential(2)} of them forward`,
    },
    ...fitting(plan),
  ])
}

const curveSection = async (plan: ModelPlan, sweep: Sweep): Promise<Html> => {
  const { sweep: points = [], device } = plan
  const unit = byteUnit(Math.max(...points.map(({ total }) => total)))
  const line = (name: string, colour: string, of: (point: (typeof points)[number]) => number): Series => ({
    name,
    colour,
    dots: true,
    points: points.map(point => [point.size, of(point) / unit.bytes] as const),
  })
  const series = [
    line('total', 'kept', ({ total }) => total),
    line('kept', 'gradients', ({ saved }) => saved),
    ...(device === undefined ? [] : [{ ...line(device.name, 'passing', () => device.bytes), dots: false }]),
  ]
  const last = points.findLast(({ fits }) => fits !== false)
  const of = sweep === 'seq' ? 'tokens in a row' : plan.seq === undefined ? 'images' : 'rows'
  const title =
    device === undefined || last === undefined
      ? `The step by the number of ${of}`
      : `${whole(last.size)} ${of} hold ${bytesText(last.total)}, and twice as many do not fit ${device.name}`
  return section(
    last === points.at(-1) ? `The step by the number of ${of}` : title,
    await chart(
      `The bytes of a step by the number of ${of}`,
      full,
      linesSpec({
        series,
        title: unit.unit,
        height: 280,
        zero: true,
        along: of,
        text: n => bytesText(n * unit.bytes),
      }),
    ),
    key(series.map(({ name, colour }) => ({ name, colour }))),
  )
}

const caveatNote = ({ caveat }: ModelPlan): Html =>
  caveat === undefined ? none : markup`<p class="note">On this target ${caveat}.</p>`

/** The page of one plan. */
const onePage = async (plan: ModelPlan, { model, sweep, course }: PlannedAs): Promise<string> => {
  const { weights, state, saved, total, layers, instead, binds } = plan
  const inLayers = layers.reduce((sum, layer) => sum + layer.layers * layer.bytes, 0)
  return pageText({
    title: `${titleOf(plan)} keeps ${bytesText(saved)} for the backward pass, and a step holds ${bytesText(total)} at most`,
    lead: lead(plan, model),
    body: [
      summary(plan),
      markup`<p class="note">
        The largest part: ${bytesText(binds.times * binds.bytes)} of <code>${binds.what}</code>.
      </p>`,
      instead === undefined ? none : markup`<p>The plan ${recomputedText(plan)}.</p>`,
      caveatNote(plan),
      await courseSection({ weights, state, ...(course === undefined ? {} : { course }) }),
      keptSection({ layers, saved: inLayers, ...(course === undefined ? {} : { course }) }),
      sweep === undefined ? none : await curveSection(plan, sweep),
    ],
  })
}

const heldBy = (plan: ModelPlan): HeldBy => {
  const { weights, state, saved, passing } = plan
  return { name: titleOf(plan), weights, state, kept: saved, passing }
}

/** A column of the table of methods. */
type Column = readonly [title: string, text: (plan: ModelPlan) => string]

const methodsTable = (plans: readonly ModelPlan[]): Html => {
  const { maxBatch, maxSeq, device } = plans[0]!
  const columns: readonly Column[] = [
    ['trained', ({ trainable }) => whole(trainable)],
    ['kept', ({ saved }) => bytesText(saved)],
    ['in all', ({ total }) => bytesText(total)],
    ['operations', ({ flops }) => (flops.forward + flops.backward).toExponential(2)],
    ...(maxBatch === undefined ? [] : [[`largest batch on ${device!.name}`, plan => whole(plan.maxBatch!)] as Column]),
    ...(maxSeq === undefined ? [] : [[`longest rows on ${device!.name}`, plan => whole(plan.maxSeq!)] as Column]),
  ]
  return markup`<table class="cards">
    <thead>
      <tr>
        <th scope="col">method</th>
        ${columns.map(([title]) => markup`<th scope="col" class="number">${title}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${plans.map(
        plan =>
          markup`<tr>
            <th scope="row">${titleOf(plan)}</th>
            ${columns.map(([title, text]) => markup`<td class="number" data-of="${title}">${text(plan)}</td>`)}
          </tr> `,
      )}
    </tbody>
  </table> `
}

/** The page of methods side by side. */
const methodsPage = (rows: readonly (ModelPlan | RefusedPlan)[], model: string): string => {
  const plans = rows.flatMap(row => ('trainable' in row ? [row] : []))
  const refused = rows.flatMap(row => ('refused' in row ? [row] : []))
  const [first] = plans
  const least = plans.reduce<ModelPlan | undefined>((a, b) => (a && a.total <= b.total ? a : b), undefined)
  return pageText({
    title:
      least === undefined
        ? 'No method can be planned'
        : `${titleOf(least)} holds the least in a step: ${bytesText(least.total)}`,
    lead: first === undefined ? model : lead(first, model),
    body: [
      ...(first === undefined ? [] : [methodsTable(plans), caveatNote(first), memorySection(plans.map(heldBy))]),
      ...refused.map(({ method, refused: why }) => markup`<p class="note">${recordOf(method).title}: ${why}</p>`),
    ],
  })
}

/**
 * The page of a plan: its memory over time, what its layers keep, and its curve, if it has one; or of methods side by
 * side.
 * @example await planPage(await planModel(options), { model: 'llama3-8b', sweep: undefined, course: undefined })
 */
export const planPage = async (result: PlanResult, as: PlannedAs): Promise<string> =>
  'rows' in result ? methodsPage(result.rows, as.model) : onePage(result, as)

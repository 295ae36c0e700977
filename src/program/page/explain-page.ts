import type { Equations, Explanation, KeptByLayer } from '../../compile/index.ts'
import { bytesText, chart, full, key } from './chart.ts'
import { courseSpec, fullestOf, kinds, totalAt } from './course-spec.ts'
import { markup, none, type Html } from './html.ts'
import { figures, pageText, section } from './shell.ts'

/** The step that a page explains, in words. */
export interface Explained {
  /** The title of the method, such as PaCA. */
  readonly method: string
  readonly model: string
  /** The sizes and the target, as `2 × 512 tokens on wasm`. */
  readonly sizes: string
}

const number = (n: number): string => n.toLocaleString('en')
const layersText = ({ layer, layers }: Pick<KeptByLayer, 'layer' | 'layers'>): string =>
  `${layer === '' ? 'a layer' : layer}${layers === 1 ? '' : `, ${layers} layers`}`

const courseSection = async ({ course, weights, state }: Explanation): Promise<Html> => {
  if (course === undefined || course.moments.length === 0)
    return markup`<p class="note">
      This target runs a step as one graph, in an order of its own: there is no course of its memory.
    </p>`
  const floor = { weights, state }
  const fullest = fullestOf(floor, course)
  const amounts = { ...floor, ...fullest }
  const where = fullest.at <= course.loss ? 'forward' : 'backward'
  const title = `The step is fullest in its ${where} pass, at ${bytesText(totalAt(floor, fullest))}`
  const says = `Memory over a step: ${kinds.map(kind => `${kind} ${bytesText(amounts[kind])}`).join(', ')} at its fullest`
  return section(
    title,
    markup`<p class="note">
      In the order of the plan. Kept: made before the loss is known, and read after it. Passing: read soon after it is
      made.
    </p>`,
    await chart(says, full, courseSpec(course, floor)),
    key(kinds.map(kind => ({ colour: kind, name: kind, value: bytesText(amounts[kind]) }))),
    markup`<p class="note">The figures beside the names are those of the fullest moment.</p>`,
  )
}

/** A bar whose length is a part of the most. */
const bar = (part: number, says: string): Html =>
  markup`<td class="bar"><span style="width:${(100 * part).toFixed(2)}%" data-tip="${says}"></span></td>`

const keptTable = (layer: KeptByLayer, most: number): Html => {
  // the caption names the layer
  const short = (text: string): string => (layer.layer === '' ? text : text.replaceAll(`${layer.layer}.`, ''))
  const rows = [...layer.kept]
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ what, shape, bytes, columnsOf }) => {
      const said = short(columnsOf === undefined ? what : `columns of x for ${columnsOf}; x is not kept`)
      const name =
        columnsOf === undefined
          ? markup`<code>${said}</code>`
          : markup`<mark>${said}</mark><br /><code>${short(what)}</code>`
      return markup`<tr>
<td>${name}</td>
<td data-of="shape"><code>${shape.join(' × ')}</code></td>
<td class="number">${bytesText(bytes)}</td>
${bar(bytes / most, `${bytesText(bytes)} for each layer: ${said}`)}
</tr>
`
    })
  return markup`<table class="cards">
<caption>${layersText(layer)}: ${bytesText(layer.bytes)} each</caption>
<thead>
<tr><th scope="col">kept for the backward pass</th><th scope="col">shape</th><th scope="col" class="number">bytes</th><td></td></tr>
</thead>
<tbody>
${rows}</tbody>
</table>
`
}

const keptSection = ({ layers, saved, course }: Explanation): Html => {
  if (layers.length === 0) return none
  const rows = [
    ...layers.map(layer => ({ name: layersText(layer), bytes: layer.layers * layer.bytes })),
    ...(course === undefined || course.kept <= saved
      ? []
      : [{ name: 'outside of the layers', bytes: course.kept - saved }]),
  ]
  const most = Math.max(1, ...rows.map(({ bytes }) => bytes))
  const ordered = [...layers].sort((a, b) => b.layers * b.bytes - a.layers * a.bytes)
  const [first, others] = [ordered.slice(0, 1), ordered.slice(1)]
  const widest = Math.max(1, ...layers.flatMap(({ kept }) => kept.map(({ bytes }) => bytes)))
  return section(
    `The layers keep ${bytesText(saved)} until their backward pass`,
    markup`<table>
      <thead>
        <tr>
          <th scope="col">layers</th>
          <th scope="col" class="number">keep together</th>
          <td></td>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ name, bytes }) =>
            markup`<tr>
              <th scope="row">${name}</th>
              <td class="number">${bytesText(bytes)}</td>
              ${bar(bytes / most, `${name}: ${bytesText(bytes)}`)}
            </tr> `,
        )}
      </tbody>
    </table> `,
    ...first.map(layer => keptTable(layer, widest)),
    ...others.map(
      layer =>
        markup`<details>
          <summary>What is kept by ${layersText(layer)}</summary>
          ${keptTable(layer, widest)}
        </details> `,
    ),
  )
}

/** The place after the parenthesis that closes the first one from `from` on. */
const closed = (text: string, from: number): number => {
  let depth = 0
  for (let i = from; i < text.length; i++) {
    if (text[i] === '(') depth += 1
    if (text[i] === ')' && --depth === 0) return i + 1
  }
  return text.length
}
/** An expression with its first `take` marked. */
const marked = (text: string): Html => {
  const at = text.indexOf('take(')
  if (at < 0) return markup`${text}`
  const end = closed(text, at)
  return markup`${text.slice(0, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end)}`
}

/** The lines of a pass; those that take columns are marked. */
const listing = (title: string, text: string): Html => {
  const lines = text
    .split('\n')
    .map(line => (line.includes('= take(') ? markup`<mark>${line}</mark>\n` : markup`${line}\n`))
  return markup`<details>
<summary>${title}</summary>
<pre tabindex="0">${lines}</pre>
</details>
`
}

const equationsSection = ({ layer, layers, gradients, before, after }: Equations): Html => {
  const inward = gradients.filter(equation => equation.inward).length
  const title =
    inward > 0
      ? 'Nobody wrote this backward pass: a rule moves the columns inward, and x can go'
      : 'The gradients of a layer, as differentiated and as rewritten'
  const rule =
    inward === 0
      ? none
      : markup`<p>
          The gradient of trained columns is <code>take(contract(x, dy), columns)</code>. By the rule
          <code>take(contract(x, dy), i) = contract(take(x, i), dy)</code> it needs only those columns of x: equation 9
          of the paper. It holds for ${inward} of ${gradients.length} trained leaves of this layer.
        </p>`
  return section(
    title,
    rule,
    markup`<table class="cards">
      <caption>
        ${layersText({ layer, layers })}
      </caption>
      <thead>
        <tr>
          <th scope="col">gradient of</th>
          <th scope="col">as differentiated</th>
          <th scope="col">as rewritten</th>
        </tr>
      </thead>
      <tbody>
        ${gradients.map(
          ({ leaf, before: from, after: to, inward: moved }) =>
            markup`<tr>
              <th scope="row"><code>${leaf}</code></th>
              <td data-of="before:"><code>${moved ? marked(from) : from}</code></td>
              <td data-of="after:"><code>${moved ? marked(to) : to}</code></td>
            </tr> `,
        )}
      </tbody>
    </table> `,
    listing('Both passes of the layer as differentiated, line by line', before),
    listing('Both passes of the layer as rewritten, line by line', after),
  )
}

/**
 * The page of an explained step: its memory over time, what its layers keep, and the gradients of one of them before
 * and after rewriting.
 * @example await explainPage(explanation, { method: 'PaCA', model: 'SmolLM2', sizes: '2 × 256 tokens on wasm' })
 */
export const explainPage = async (explanation: Explanation, { method, model, sizes }: Explained): Promise<string> => {
  const { saved, peak, weights, state, trainable, parameters, equations } = explanation
  return pageText({
    title: `${method} keeps ${bytesText(saved)} for the backward pass, and a step holds ${bytesText(weights + state + peak)} at most`,
    lead: `${model}, ${sizes}. Known before anything runs, from the shapes alone.`,
    body: [
      figures([
        {
          name: 'trained',
          value: number(trainable),
          note: `of ${number(parameters)} parameters (${((100 * trainable) / parameters).toFixed(2)} %)`,
        },
        { name: 'weights', value: bytesText(weights) },
        { name: 'optimizer state', value: bytesText(state) },
        { name: 'kept in layers', value: bytesText(saved), note: 'from forward to backward' },
        { name: 'beside weights and state', value: bytesText(peak), note: 'at most' },
      ]),
      await courseSection(explanation),
      keptSection(explanation),
      equations === undefined ? none : equationsSection(equations),
    ],
  })
}

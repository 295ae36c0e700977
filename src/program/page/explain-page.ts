import type { Equations, Explanation } from '../../compile/index.ts'
import { bytesText } from '../../text/index.ts'
import { courseSection } from './course-section.ts'
import { markup, none, type Html } from './html.ts'
import { keptSection, layersText } from './kept-section.ts'
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

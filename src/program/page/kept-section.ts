import type { Explanation, KeptByLayer } from '../../compile/index.ts'
import { bytesText } from '../../text/index.ts'
import { markup, none, type Html } from './html.ts'
import { section } from './shell.ts'

/** Layers by name, with their number. */
export const layersText = ({ layer, layers }: Pick<KeptByLayer, 'layer' | 'layers'>): string =>
  `${layer === '' ? 'a layer' : layer}${layers === 1 ? '' : `, ${layers} layers`}`

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

/** The values that each layer keeps for its backward pass, the layers that keep most first. */
export const keptSection = ({ layers, saved, course }: Pick<Explanation, 'layers' | 'saved' | 'course'>): Html => {
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

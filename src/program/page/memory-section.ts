import { bytesText } from '../../text/index.ts'
import { colour, key } from './chart.ts'
import { markup, type Html } from './html.ts'
import { section } from './shell.ts'

const parts = ['weights', 'state', 'kept', 'passing'] as const

/** The bytes that a step holds, by the name of its method. */
export interface HeldBy extends Readonly<Record<(typeof parts)[number], number>> {
  readonly name: string
}

const totalOf = (held: HeldBy): number => parts.reduce((sum, part) => sum + held[part], 0)

const stack = (held: HeldBy, most: number): Html => {
  const says = parts.map(part => `${part} ${bytesText(held[part])}`).join('\n')
  const bars = parts.map(
    part => markup`<span style="width:${((100 * held[part]) / most).toFixed(3)}%;background:${colour(part)}"></span>`,
  )
  return markup`<div
    class="stack"
    role="img"
    aria-label="${says.replaceAll('\n', ', ')}"
    data-tip="${held.name}: ${bytesText(totalOf(held))}
${says}"
  >
    ${bars}
  </div>`
}

/** The memory of methods side by side, as bars of their parts; there is at least one. */
export const memorySection = (all: readonly HeldBy[]): Html => {
  const most = Math.max(...all.map(totalOf))
  const lightest = all.reduce((a, b) => (totalOf(b) < totalOf(a) ? b : a))
  return section(
    `${lightest.name} holds the least in a step: ${bytesText(totalOf(lightest))}`,
    markup`<table>
      <thead>
        <tr>
          <th scope="col">method</th>
          <th scope="col" class="number">at most</th>
          <th scope="col">of it</th>
        </tr>
      </thead>
      <tbody>
        ${all.map(
          held =>
            markup`<tr>
              <th scope="row">${held.name}</th>
              <td class="number">${bytesText(totalOf(held))}</td>
              <td class="bar memory">${stack(held, most)}</td>
            </tr> `,
        )}
      </tbody>
    </table> `,
    key(parts.map(part => ({ colour: part, name: part }))),
    markup`<p class="note">By the plan of a step, before it runs.</p>`,
  )
}

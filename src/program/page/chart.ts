import type { Mark, Spec } from 'vega'
import { svgOf } from '../../verify/index.ts'
import { markup, type Html } from './html.ts'

/** The widths at which a chart is drawn: one for narrow windows, one for wide ones. */
export interface Widths {
  readonly narrow: number
  readonly wide: number
}

/** A chart over the whole width of a page, and one over half of it. */
export const full: Widths = { narrow: 368, wide: 1072 }
export const half: Widths = { narrow: 368, wide: 520 }

/** The colours of a page, for marks. */
export const colour = (name: string): string => `var(--${name})`

/** A field as a place along the horizontal axis. */
export const alongX = (field: string) => ({ scale: 'x', field })

/** Invisible columns over a chart, one for each of the data `hovers` from `from` to `to`, that say what holds there. */
export const hoverMark: Mark = {
  type: 'rect',
  from: { data: 'hovers' },
  encode: {
    enter: {
      x: alongX('from'),
      x2: alongX('to'),
      y: { value: 0 },
      y2: { signal: 'height' },
      fill: { value: colour('ink') },
      fillOpacity: { value: 0 },
      description: { field: 'says' },
    },
  },
}

const font = 'system-ui, sans-serif'
const common = {
  autosize: { type: 'fit', contains: 'padding' },
  padding: { left: 0, right: 8, top: 6, bottom: 5 },
  config: {
    axis: {
      labelColor: colour('soft'),
      titleColor: colour('soft'),
      domainColor: colour('line'),
      tickColor: colour('line'),
      gridColor: colour('line'),
      labelFont: font,
      titleFont: font,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: 'normal',
      labelOverlap: true,
    },
  },
} as const satisfies Spec

/** A chart as the page holds it, drawn at both widths; what it shows is its name. */
export const chart = async (
  says: string,
  widths: Widths,
  specOf: (width: number, narrow: boolean) => Spec,
): Promise<Html> => {
  const drawn = async (width: number, narrow: boolean): Promise<Html> => ({
    html: await svgOf({ ...common, ...specOf(width, narrow), width }),
  })
  const [narrow, wide] = [await drawn(widths.narrow, true), await drawn(widths.wide, false)]
  return markup`<figure aria-label="${says}">
    <div class="wide">${wide}</div>
    <div class="narrow">${narrow}</div>
  </figure> `
}

/** An entry of a key: the colour and name of a mark, and a figure of it. */
export interface KeyEntry {
  readonly colour: string
  readonly name: string
  readonly value?: string
}

/** A key of colours. */
export const key = (entries: readonly KeyEntry[]): Html =>
  markup`<ul class="key">
    ${entries.map(
      ({ colour: of, name, value }) =>
        markup`<li>
          <i style="background:${colour(of)}"></i>${name}${value === undefined ? { html: '' } : markup` <b>${value}</b>`}
        </li> `,
    )}
  </ul> `

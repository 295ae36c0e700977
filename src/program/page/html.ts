/** A piece of a page: its text is HTML already. */
export interface Html {
  readonly html: string
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
/** A text as HTML shows it. @example escaped('a < b') // a &lt; b */
const escaped = (text: string): string => text.replace(/[&<>"']/g, character => entities[character]!)

type Value = string | number | Html | readonly Html[]
const textOf = (value: Value): string => {
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return String(value)
  return 'html' in value ? value.html : value.map(({ html }) => html).join('')
}

/** A piece of a page; texts in it are escaped. @example markup`<p>${'a < b'}</p>`.html // <p>a &lt; b</p> */
export const markup = (strings: TemplateStringsArray, ...values: readonly Value[]): Html => ({
  html: strings.map((text, i) => (i === 0 ? text : `${textOf(values[i - 1]!)}${text}`)).join(''),
})

/** Nothing. */
export const none: Html = { html: '' }

import { version } from '../../host/index.ts'
import { markup, none, type Html } from './html.ts'
import { script, style } from './style.ts'

/** The parts of a page. */
export interface Page {
  /** The finding, in one sentence. */
  readonly title: string
  readonly lead: string
  readonly body: readonly Html[]
  /** The seconds after which a browser reads the page again, for one that changes. */
  readonly refresh?: number
}

/** A page as one file that needs no other. */
export const pageText = ({ title, lead, body, refresh }: Page): string => {
  const again = refresh === undefined ? none : markup`<meta http-equiv="refresh" content="${refresh}" />`
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        ${again}
        <title>${title}</title>
        <style>
          ${{ html: style }}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            <p class="lead">${lead}</p>
          </header>
          ${body}
          <footer>partensor ${version}</footer>
        </main>
        <div id="tip" role="status" hidden></div>
        <script>
          ${{ html: script }}
        </script>
      </body>
    </html> `.html
}

/** A figure with a name; what it means stands below it. */
export interface Figure {
  readonly name: string
  readonly value: string
  readonly note?: string
}

/** Some figures in a row. */
export const figures = (shown: readonly Figure[]): Html =>
  markup`<dl class="figures">
    ${shown.map(
      ({ name, value, note }) =>
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}${note === undefined ? none : markup`<small>${note}</small>`}</dd>
        </div> `,
    )}
  </dl> `

/** A section under a finding. */
export const section = (title: string, ...parts: readonly Html[]): Html =>
  markup`<section>
    <h2>${title}</h2>
    ${parts}
  </section> `

import * as E from 'fp-ts/lib/Either.js'
import type { Title } from 'vega'
import type { Outcome } from './measure.ts'
import type { Measurement } from './measurement.ts'

/** The facts of a recorded run that pictures show. */
export interface Recorded {
  readonly date: string
  readonly machine: { readonly processor: string; readonly cores: number; readonly loadBefore: number }
  readonly measured: Readonly<Record<string, Outcome>>
}

/**
 * The measurement of a contender.
 * @throws {Error} for results without it
 */
export const measurementIn = ({ measured }: Recorded, name: string): Measurement => {
  const outcome = measured[name] ?? E.left('not measured')
  if (E.isLeft(outcome)) throw new Error(`the results have no ${name}: ${outcome.left}`)
  return outcome.right
}

export const ink = '#222'

/** The title of a picture, with the conditions of its run; `peaks` says what its peaks are of. */
export const heading = ({ machine, date }: Recorded, text: string, peaks: string): Title => ({
  text,
  subtitle: `medians on ${machine.cores} cores of an ${machine.processor}, ${date.slice(0, 10)}, load ${machine.loadBefore.toFixed(1)}; peaks of ${peaks}`,
  anchor: 'start',
  frame: 'group',
  fontSize: 13,
  subtitleFontSize: 11,
  color: ink,
  subtitleColor: ink,
  offset: 22,
})

/** The title of a panel of a picture. */
export const panelTitle = (text: string): Title => ({
  text,
  anchor: 'start',
  fontSize: 12,
  fontWeight: 'normal',
  color: ink,
  offset: 6,
})

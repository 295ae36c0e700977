import type { Contender, Outcome } from '../measure.ts'
import type { Row } from '../table.ts'

/** The extent of the measurements. */
export interface Effort {
  /** A smoke run: a round or two, few steps, the small shapes. */
  readonly quick: boolean
  /** Reports the progress. */
  readonly say: (text: string) => void
  readonly alternate: (contenders: readonly Contender[], rounds?: number) => Promise<ReadonlyMap<string, Outcome>>
}

/** Milliseconds of named parts. */
export interface Breakdown {
  readonly title: string
  readonly parts: Readonly<Record<string, number>>
}
/** The findings of a case: rows of the common table, and tables of its own. */
export interface Findings {
  readonly rows: readonly Row[]
  readonly tables: readonly Breakdown[]
}

/** A group of measurements. */
export interface Case {
  readonly name: string
  readonly about: string
  /** True if the case runs only when it is named, or when everything is measured. */
  readonly optional?: boolean
  readonly run: (effort: Effort) => Promise<Findings>
}

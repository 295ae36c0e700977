/** A figure of a row: a name, a number, or one that the paper does not have. */
export type Cell = string | number
/** A row of a reproduction; bytes, numbers and ratios are plain numbers. */
export type Row = Readonly<Record<string, Cell>>

/** A table or figure of the paper, computed from shapes alone. */
export interface Reproduction {
  readonly title: string
  /** The regime that the claim needs, and every assumption, as sentences. */
  readonly says: readonly string[]
  readonly rows: readonly Row[]
}

/** The options of a reproduction. */
export interface Reproducing {
  /** True if the rows also say what this compiler's own plan holds for the same step (default: false). */
  readonly ours?: boolean
}

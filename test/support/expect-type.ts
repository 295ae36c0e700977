import type { ShapeError } from '../../src/tensor/shape/dim.ts'

/** Tests whether two types are the same, not only assignable to each other. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** A line that does not type-check unless its argument is true. */
export type Expect<T extends true> = T

/**
 * One row of a table that is read twice: as types by `tsc`, as values by the tests.
 * `of` are the arguments of a rule; `is` its result, or `error` its text.
 */
export interface Case {
  readonly of: readonly unknown[]
  readonly is?: unknown
  readonly error?: string
}

/** The results of each rule in the table. */
export type Wanted<Cases extends readonly Case[]> = {
  readonly [K in keyof Cases]: Cases[K] extends { readonly error: infer Text extends string }
    ? ShapeError<Text>
    : Cases[K]['is']
}

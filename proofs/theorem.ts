import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'

/**
 * A theorem as a property that can fail: what it says, the cases it speaks of, whether it holds of one, and mutants, which are statements that differ
 * from it in one place and are false. A mutant that no case refutes shows that the property is too weak to be evidence.
 */
export interface Theorem<C> {
  readonly statement: string
  readonly cases: fc.Arbitrary<C>
  readonly holds: (subject: C) => boolean
  readonly mutants: Readonly<Record<string, Mutant<C>>>
}
/** A false statement. Its cases are those where it should show, if the theorem's own are too wide. */
export interface Mutant<C> {
  readonly holds: (subject: C) => boolean
  readonly cases?: fc.Arbitrary<C>
}

/** Tests a theorem on many cases, then refutes each of its mutants. @example prove(descentLemma, 1000) */
export const prove = <C>({ statement, cases, holds, mutants }: Theorem<C>, runs: number): void => {
  test(statement, () => { fc.assert(fc.property(cases, holds), { numRuns: runs }) })
  for (const [name, mutant] of Object.entries(mutants)) {
    test(`refuted: ${name}`, () => {
      assert.ok(fc.check(fc.property(mutant.cases ?? cases, mutant.holds), { numRuns: runs }).failed, 'no case refutes it')
    })
  }
}

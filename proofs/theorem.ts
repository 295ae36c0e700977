import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'

/**
 * A theorem as a value: its statement, its cases, a test of one case, and mutants, which are false statements that
 * differ from it in one place. A mutant that no case refutes shows that the property is too weak to be evidence.
 */
export interface Theorem<C> {
  readonly statement: string
  readonly cases: fc.Arbitrary<C>
  readonly property: Property<C>
  readonly mutants: Readonly<Record<string, Mutant<C>>>
}
type Property<C> = (subject: C) => boolean | Promise<boolean>
/** A false statement. Its cases are those in which it should show, if the theorem's own are too wide. */
export interface Mutant<C> {
  readonly property: Property<C>
  readonly cases?: fc.Arbitrary<C>
}

/** The number of cases on which the theorems of a file have been tested, without the mutants. */
export interface Tally {
  cases: number
}

/**
 * Tests a theorem on many cases, each of which may count as several; then refutes each of its mutants.
 * @example prove(inequality, 1000, tally)
 */
export const prove = <C>(
  { statement, cases, property, mutants }: Theorem<C>,
  runs: number,
  tally: Tally,
  casesOf: (subject: C) => number = () => 1,
): void => {
  test(statement, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async subject => {
        tally.cases += casesOf(subject)
        return await property(subject)
      }),
      { numRuns: runs },
    )
  })
  for (const [name, mutant] of Object.entries(mutants)) {
    test(`refuted: ${name}`, async () => {
      const claim = fc.asyncProperty(mutant.cases ?? cases, async subject => await mutant.property(subject))
      const result = await fc.check(claim, { numRuns: runs, endOnFailure: true })
      assert.ok(result.failed, 'no case refutes it')
      // a mutant that breaks is not refuted
      if (result.errorInstance instanceof Error && !result.errorInstance.message.includes('returning false'))
        throw result.errorInstance
    })
  }
}

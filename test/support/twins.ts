import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import type { Case } from './expect-type.ts'

/**
 * Checks the rows of a table against the value twin of a rule; the types of the same rows are checked next to the
 * table.
 */
export const agrees = <Row extends Case>(
  name: string,
  cases: readonly Row[],
  rule: (row: Row) => E.Either<string, unknown>,
): void => {
  test(`${name}: the value gives what the type gives, in every row`, () => {
    for (const row of cases) {
      const expected: E.Either<string, unknown> = row.error === undefined ? E.right(row.is) : E.left(row.error)
      assert.deepEqual(rule(row), expected, JSON.stringify(row.of))
    }
  })
}

import * as fc from 'fast-check'

/**
 * `npm test` draws the same cases everywhere, so that one commit has one result. `SEED=random npm test` draws others, and
 * `SEED=5 npm test` those of a number: that is how a property is explored.
 */
const asked = process.env['SEED'] ?? '20250424'
if (asked !== 'random') fc.configureGlobal({ seed: Number(asked) })

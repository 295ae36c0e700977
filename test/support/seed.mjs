import { isMainThread } from 'node:worker_threads'

/**
 * `npm test` draws the same cases everywhere, so that one commit has one result. `SEED=random npm test` draws others, and
 * `SEED=5 npm test` those of a number: that is how a property is explored. Worker threads load this file too, without a
 * loader of TypeScript, and test nothing.
 */
const asked = process.env['SEED'] ?? '20250424'
if (isMainThread && asked !== 'random') {
  const { configureGlobal } = await import('fast-check')
  configureGlobal({ seed: Number(asked) })
}

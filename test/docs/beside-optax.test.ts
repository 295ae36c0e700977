import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as compiler from '../../src/compiler.ts'
import * as partensor from '../../src/index.ts'
import { pageNamed } from '../support/pages.ts'

// docs/beside-optax.md: what its tables say is here is public, and all schedules are in them.

const rows = pageNamed('docs/beside-optax.md').lines.flatMap(line => {
  const [, optax, here] = /^\| `([\w.]+)` \| `([\w.]+)` \|/.exec(line) ?? []
  return optax === undefined || here === undefined ? [] : [{ optax, here }]
})
const isPublic = (name: string): boolean =>
  name.startsWith('schedule.') ? name.slice(9) in partensor.schedule : name in partensor || name in compiler

test('every name that the page beside optax has here is public, and each of optax has one row', () => {
  assert.ok(rows.length > 60)
  assert.deepEqual(
    rows.filter(({ here }) => !isPublic(here)),
    [],
  )
  assert.equal(new Set(rows.map(({ optax }) => optax)).size, rows.length)
})

test('every schedule is on the page', () => {
  const text = pageNamed('docs/beside-optax.md').lines.join('\n')
  const missing = Object.keys(partensor.schedule).filter(name => !text.includes(`\`schedule.${name}\``))
  // those of a run of the command line are not optax's
  assert.deepEqual(missing, ['rateAt', 'runSchedule'])
})
